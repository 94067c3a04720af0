"""A candidate's figures as people read them: on the report, in the terminal, on the dashboard."""

from __future__ import annotations

import math

DASH = "\N{EN DASH}"
UNITS = ("B", "kB", "MB", "GB")


def milliseconds(value: float | None) -> str:
    """Three significant digits, as `0.0510` or `1,240`; a dash where it is not known."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def score(value: float | None) -> str:
    """A metric's value in four significant digits."""
    return DASH if value is None or not math.isfinite(value) else f"{value:.4g}"


def share(value: float | None) -> str:
    """A ratio, as `0.392`, `1.058` or `12.5`: two of the same machine may differ in the third decimal."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.3f}" if 0.1 <= abs(value) < 10 else f"{value:.3g}"


def drop(value: float | None) -> str:
    """The most that may be lost, in two significant digits; nothing lost is `0`."""
    return DASH if value is None or not math.isfinite(value) else f"{max(value, 0.0):.2g}"


def size(value: int | None) -> str:
    """Bytes in the largest fitting decimal unit, as `39.1 kB`."""
    if value is None:
        return DASH
    amount = float(value)
    for unit in UNITS[:-1]:
        if amount < 999.5:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} {UNITS[-1]}"


def interval(low: str, high: str) -> str:
    """Two bounds, worded already, between brackets and without a space; empty where one is unknown or both are one."""
    return "" if DASH in {low, high} or low == high else f"[{low}{DASH}{high}]"
