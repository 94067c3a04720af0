"""Use cases over ports; the only writers of the registry."""
