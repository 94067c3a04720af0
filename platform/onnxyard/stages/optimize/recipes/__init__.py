"""Recipes: rows of passes with a name; `catalogue` has them all."""
