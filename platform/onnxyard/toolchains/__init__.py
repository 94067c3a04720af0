"""Tools that need an environment of their own: a subprocess with a JSON contract."""
