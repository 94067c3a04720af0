"""The develop stage."""
