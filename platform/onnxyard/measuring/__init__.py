"""How fast, how large, by whom: models run in processes of their own, timed in turns, told with intervals."""
