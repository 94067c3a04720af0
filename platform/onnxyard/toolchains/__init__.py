"""Tools that need an environment of their own: pinned, installed under home, spoken to as a child process."""
