"""A user's project: its file, its functions, its data."""
