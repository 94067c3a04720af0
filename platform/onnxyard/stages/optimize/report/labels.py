"""Labels beside points: each where it covers no other label and no point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHARACTER = 6.4
"""The width of a character of a label in the picture's units, on the safe side for its 11.5 px sans serif."""
BOLD = 7.5
"""Likewise of a bold one."""
LINE = 14.0
DISTANCES = (4.0, 14.0, 28.0, 44.0)
"""Between a point's rim and its label: the nearest free place is taken."""
STEP_COST = 18.0
"""What a step away costs, in the area of lines that a label would cross (square units)."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the picture's units."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)

    def within(self, other: Box) -> bool:
        """Whether all of it lies inside the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True, slots=True)
class Point:
    """What is labelled.

    Attributes:
        x: Of its middle.
        y: Likewise.
        radius: Of its rim.
        text: Its label; without one it only keeps labels off itself.
        needed: Whether the label must stand, be it over something; otherwise it is left out where there is no room.
        near: Whether it may stand beside its point only, and not at the end of a line.
        bold: Whether its letters are.
    """

    x: float
    y: float
    radius: float
    text: str
    needed: bool = False
    near: bool = False
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """Where a label stands.

    Attributes:
        point: What it belongs to.
        box: The room it takes.
        apart: Whether it stands so far off that a line must lead to its point.
    """

    point: Point
    box: Box
    apart: bool


def placed(points: Sequence[Point], area: Box, *, taken: Sequence[Box] = (), lines: Sequence[Box] = ()) -> list[Label]:
    """Labels in the points' order, the first ones with the first choice of places.

    Args:
        points: Every point is kept free of labels, its own included.
        area: No label leaves it.
        taken: Room that is taken already.
        lines: Thin things, as whiskers, which a label crosses only where the other places are worse.
    """
    busy = [*taken, *(Box(p.x - p.radius, p.y - p.radius, p.x + p.radius, p.y + p.radius) for p in points)]
    labels: list[Label] = []
    for point in (each for each in points if each.text):
        best: tuple[tuple[float, float], Box, bool] | None = None
        for step, box in _spots(point):
            if box.within(area) and not (point.near and step > 1):
                crossed = sum(box.overlap(line) for line in lines) + step * STEP_COST
                cost = (sum(box.overlap(other) for other in busy), crossed)
                if best is None or cost < best[0]:
                    best = (cost, box, step > 1)
        if best is None or (best[0][0] > 0 and not point.needed):
            continue
        busy.append(best[1])
        labels.append(Label(point, best[1], best[2]))
    return labels


def _spots(point: Point) -> list[tuple[int, Box]]:
    """Places around the point, the nearest first, each with its step away."""
    width = len(point.text) * (BOLD if point.bold else CHARACTER)
    found = []
    for step, distance in enumerate(DISTANCES):
        off = point.radius + distance
        slant = off * 0.75
        for x, y in (
            (point.x + off, point.y - LINE / 2),
            (point.x - off - width, point.y - LINE / 2),
            (point.x - width / 2, point.y - off - LINE),
            (point.x - width / 2, point.y + off),
            (point.x + slant, point.y - slant - LINE),
            (point.x - slant - width, point.y - slant - LINE),
            (point.x + slant, point.y + slant),
            (point.x - slant - width, point.y + slant),
        ):
            found.append((step, Box(x, y, x + width, y + LINE)))
    return found
