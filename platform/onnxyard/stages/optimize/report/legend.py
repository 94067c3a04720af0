"""What a picture's signs mean, in rows below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.stages.optimize.report.labels import CHARACTER
from onnxyard.stages.optimize.report.markup import element
from onnxyard.stages.optimize.report.shapes import circle, line, place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

ROW = 18.0
"""Between two rows, in the picture's units."""
KEYS = (
    ("ring", "chosen"),
    ("pareto", "on the Pareto front"),
    ("tie", "a tie with the baseline"),
    ("whisker", "interval"),
    ("size", "area: size of the files"),
)


def legend_rows(colours: Mapping[str, int], *, start: float, end: float) -> list[list[tuple[float, str, str]]]:
    """Rows of entries: where each begins, its sign, its words. `colours` are the runtimes' numbers by their names."""
    entries = [(f"run{number}", way) for way, number in colours.items()] + list(KEYS)
    rows: list[list[tuple[float, str, str]]] = [[]]
    at = start
    for sign, words in entries:
        room = 20 + len(words) * CHARACTER + 14
        if rows[-1] and at + room > end:
            rows.append([])
            at = start
        rows[-1].append((at, sign, words))
        at += room
    return rows


def drawn_row(entries: Sequence[tuple[float, str, str]], *, y: float) -> list[Element]:
    """The signs and words of a row whose text stands at `y`."""
    found: list[Element] = []
    for at, sign, words in entries:
        middle = at + 6
        if sign == "ring":
            found.append(circle("ring", middle, y - 4, 5.5))
        elif sign == "whisker":
            found.append(line("", at, at + 12, y - 4, y - 4))
        elif sign == "size":
            found += [circle("key", at, y - 4, 2.5), circle("key", at + 8, y - 4, 5)]
        elif sign.startswith("run"):
            found.append(circle(f"bubble pareto {sign}", middle, y - 4, 5))
        else:
            found.append(circle(f"bubble key {sign}", middle, y - 4, 5))
        found.append(element("text", words, x=place(at + 18), y=place(y)))
    return found
