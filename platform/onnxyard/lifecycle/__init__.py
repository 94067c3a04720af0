"""WHAT travels through the shipyard: frozen types and rules. Standard library only."""
