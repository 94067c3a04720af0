"""The few shapes that pictures are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.stages.optimize.report.markup import element

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def line(colour: str, x1: float, x2: float, y1: float, y2: float) -> Element:
    """A whisker in a runtime's colour, or in none."""
    return element("line", class_=f"whisker {colour}".strip(), x1=place(x1), x2=place(x2), y1=place(y1), y2=place(y2))


def circle(class_: str, x: float, y: float, radius: float) -> Element:
    """A circle around (x, y)."""
    return element("circle", class_=class_, cx=place(x), cy=place(y), r=place(radius))


def place(value: float) -> str:
    """A place to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
