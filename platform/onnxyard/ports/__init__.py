"""Protocols only: what the library needs from the world, so that the world can be exchanged."""
