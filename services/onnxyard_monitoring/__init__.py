"""Windows of traffic, drift and its evidence."""
