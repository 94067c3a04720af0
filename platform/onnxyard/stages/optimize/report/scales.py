"""Axes: from a value to a place in the picture, and where their ticks stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

STEPS = (1.0, 2.0, 5.0)
"""Of a decade: the ticks people expect."""
FEWEST = 3
"""Ticks without which an axis cannot be read."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis.

    Attributes:
        low: The value at `start`.
        high: The value at `end`.
        start: A place in the picture, in its units.
        end: Likewise.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The value's place; one beyond the axis stands at its end."""
        part = (value - self.low) / (self.high - self.low)
        return self.start + min(max(part, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """At most `most` round values."""
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step)
        return [step * number for number in range(first, math.floor(self.high / step) + 1)]


@dataclass(frozen=True, slots=True)
class LogScale:
    """A logarithmic axis; its values are above 0. Attributes as `Scale`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The value's place; one beyond the axis stands at its end."""
        linear = Scale(math.log(self.low), math.log(self.high), self.start, self.end)
        return linear(math.log(max(value, self.low)))

    def ticks(self, most: int = 7) -> list[float]:
        """At most `most` values: 1, 2 and 5 of each decade; fewer over many decades, even ones within a part of one."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found = [step * 10.0**power for power in decades for step in STEPS]
        found = [value for value in found if self.low <= value <= self.high]
        if len(found) < FEWEST:
            return Scale(self.low, self.high, 0.0, 1.0).ticks(max(most, 5))
        if len(found) <= most:
            return found
        whole = [10.0**power for power in decades if self.low <= 10.0**power <= self.high]
        found = whole if len(whole) >= FEWEST else found
        return found[:: math.ceil(len(found) / most)]


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (*STEPS, 10.0) if step * power >= least * (1 - 1e-9))
