"""How the report looks, in light and dark."""

from __future__ import annotations

from importlib.resources import files

RUNTIME_COLOURS = 6
"""Runtimes with a colour of their own in `colours.css`; further ones share the last."""


def chart_style() -> str:
    """What a picture of its own needs."""
    return _read("colours.css") + _read("chart.css")


def page_style() -> str:
    """What the page needs, its pictures included."""
    return chart_style() + _read("page.css")


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
