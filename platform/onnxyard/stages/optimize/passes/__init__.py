"""Passes: one transformation of a model each, one file each. A recipe is a row of passes."""
