"""Drift windows as a row of bars: geometry for an SVG that the server draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxyard.lifecycle.drift import MINIMUM_EFFECT
from onnxyard.lifecycle.window import Window

HEIGHT = 56.0
BAR = 13.0
GAP = 4.0
LEAST = 3.0
"""No bar is lower: a window with no effect is still a window."""
LEAST_WIDTH = 180.0
"""The threshold's line is this long however few windows there are."""
CEILING = 1.0
"""Effects above one standard deviation are drawn alike."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One window.

    Attributes:
        x: Left edge in pixels.
        y: Upper edge.
        height: In pixels; grows with the square root of the effect, so that small ones can be told apart.
        window: What it stands for.
        effect: The largest effect of any column.
        column: The column that has it; empty where none was compared.
    """

    x: float
    y: float
    height: float
    window: Window
    effect: float
    column: str


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Bars from the oldest window on the left, and the line an effect must reach to count.

    Attributes:
        bars: One per window.
        width: Of the drawing, in pixels.
        height: Likewise.
        bar: A bar's width.
        threshold: The line's y.
    """

    bars: tuple[Bar, ...]
    width: float
    height: float
    bar: float
    threshold: float


def sparkline(windows: tuple[Window, ...]) -> Sparkline:
    """Draw windows given newest first."""
    bars = []
    for index, window in enumerate(reversed(windows)):
        worst = max(window.columns, key=lambda column: column.effect, default=None)
        effect = worst.effect if worst is not None else 0.0
        height = max(LEAST, _height(effect))
        x = index * (BAR + GAP)
        bars.append(Bar(x, HEIGHT - height, height, window, effect, worst.column if worst is not None else ""))
    width = max(len(bars) * (BAR + GAP) - GAP, LEAST_WIDTH)
    return Sparkline(tuple(bars), width, HEIGHT, BAR, HEIGHT - _height(MINIMUM_EFFECT))


def _height(effect: float) -> float:
    return HEIGHT * math.sqrt(min(effect, CEILING) / CEILING)
