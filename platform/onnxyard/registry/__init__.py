"""The SQL registry: typed ORM and unit of work."""
