"""Numbers and moments as people read them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SHORT_DIGEST = 12
_SEAM = re.compile(r"(?<=[:_=-])(?=\w)|(?=@)|(?<=[a-z])(?=[A-Z])")


def number(value: float | None, unit: str = "") -> str:
    """Four significant digits, whole numbers with separators, with the unit; a dash for None."""
    if value is None or not math.isfinite(value):
        return "–" if value is None else str(value)  # noqa: RUF001 - a dash in a table cell is an en dash
    if unit == "bytes":
        return size(int(value))
    exact = value == int(value) and abs(value) < 1e15
    text = f"{int(value):,}" if exact else f"{value:.4g}"
    return f"{text} {unit}".rstrip()


def size(value: int | None) -> str:
    """Bytes in the largest fitting decimal unit, as `39.1 kB`."""
    if value is None:
        return "–"  # noqa: RUF001 - as above
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.3g} {unit}"
        amount /= 1000
    raise AssertionError


def age(moment: datetime, now: datetime) -> str:
    """How long ago, in the largest whole unit, as `3 min ago`."""
    passed = now - moment
    if passed < MINUTE:
        return f"{max(int(passed.total_seconds()), 0)} s ago"
    if passed < HOUR:
        return f"{passed // MINUTE} min ago"
    if passed < 2 * DAY:
        return f"{passed // HOUR} h ago"
    return f"{passed // DAY} days ago"


def moment(value: datetime) -> str:
    """As `23 Nov 14:03` (UTC)."""
    return value.astimezone(UTC).strftime("%d %b %H:%M").lstrip("0")


def stamp(value: datetime) -> str:
    """The full moment, for a tooltip and for machines."""
    return value.astimezone(UTC).isoformat(timespec="seconds")


def digest(value: str | None) -> str:
    """The first digits of a sha256."""
    return value[:SHORT_DIGEST] if value else "–"  # noqa: RUF001 - as above


def breakable(name: str) -> Markup:
    """A compound name, as `quality:accuracy@cpu`, that a narrow column may break at its seams."""
    return Markup("<wbr>").join(escape(part) for part in _SEAM.split(name))
