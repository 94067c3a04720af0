"""The optimize stage."""
