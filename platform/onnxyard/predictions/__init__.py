"""The prediction log: what was asked and answered, described as columns."""
