"""The error along the graph, drawn as SVG: https://www.w3.org/TR/SVG11/."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from onnxyard.diagnosis.blame.report import figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onnxyard.diagnosis.blame.report import Blame, Spot

_WIDTH, _HEIGHT = 960.0, 440.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 24.0, 76.0, 48.0
_LOWEST = 1e-9
"""Smaller errors, and none at all, are drawn at the lower edge."""
_STYLE = """
text { font: 12px sans-serif; fill: #333 }
.title { font-size: 15px; font-weight: bold }
.grid { stroke: #e4e4e4 }
.whole { fill: none; stroke: #2b6cb0; stroke-width: 1.5 }
.here { fill: #b7791f }
.culprit { stroke: #c53030; stroke-width: 1.5; stroke-dasharray: 4 3 }
.named { fill: #c53030; font-weight: bold }
"""


def draw(blame: Blame) -> str:
    """The picture: the error of every paired tensor with both sides run whole (a line), and the error that is made at
    it (dots), on a logarithmic scale; the culprit is marked.
    """  # noqa: D205
    course = blame.course
    highest = max((e for spot in course for e in (spot.error_out, spot.local) if math.isfinite(e)), default=1.0)
    top = max(0, math.ceil(math.log10(max(highest, _LOWEST))))
    bottom = math.log10(_LOWEST)

    def across(at: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (at + 0.5) / max(1, len(course))

    def down(error: float) -> float:
        height = top if not math.isfinite(error) else math.log10(max(error, _LOWEST))
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (top - height) / (top - bottom)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH:g}" height="{_HEIGHT:g}" fill="#fff"/>',
        f'<text class="title" x="{_LEFT:g}" y="24">{escape(_title(blame))}</text>',
        *_legend(),
        *_grid(int(bottom), top, down),
        *_culprit(blame, across),
        f'<polyline class="whole" points="{_line(course, across, down)}"/>',
        *_dots(course, across, down),
        _across_label(len(course)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title(blame: Blame) -> str:
    return f"{blame.model} against {blame.reference}: relative error, {blame.rows} rows"


def _across_label(places: int) -> str:
    x, y = (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 14
    told = f"the graph's {places} paired tensors, in topological order"
    return f'<text x="{x:g}" y="{y:g}" text-anchor="middle">{told}</text>'


def _legend() -> Iterator[str]:
    yield f'<line class="whole" x1="{_LEFT:g}" x2="{_LEFT + 24:g}" y1="44" y2="44"/>'
    yield f'<text x="{_LEFT + 32:g}" y="48">with both sides run whole</text>'
    yield f'<circle class="here" cx="{_LEFT + 220:g}" cy="44" r="3"/>'
    yield f'<text x="{_LEFT + 230:g}" y="48">made here, fed the source\'s own inputs</text>'


def _grid(bottom: int, top: int, down: Callable[[float], float]) -> Iterator[str]:
    for power in range(bottom, top + 1):
        y = down(10.0**power)
        yield f'<line class="grid" x1="{_LEFT:g}" x2="{_WIDTH - _RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
        label = f"1e{power}" if power != bottom else f"≤ 1e{power}"
        yield f'<text x="{_LEFT - 8:g}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'


def _culprit(blame: Blame, across: Callable[[int], float]) -> Iterator[str]:
    if blame.culprit is None:
        return
    spot = blame.culprit.spot
    at = next(at for at, each in enumerate(blame.course) if each.tensor == spot.tensor)
    x = across(at)
    side, shift = ("start", 6) if x < _WIDTH / 2 else ("end", -6)
    yield f'<line class="culprit" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8:g}" y2="{_HEIGHT - _BOTTOM:g}"/>'
    told = " · ".join(text for text in (f"{spot.op} {spot.node}", spot.module, spot.source) if text)
    yield f'<text class="named" x="{x + shift:.1f}" y="{_TOP - 8:g}" text-anchor="{side}">{escape(told)}</text>'


def _line(course: Sequence[Spot], across: Callable[[int], float], down: Callable[[float], float]) -> str:
    return " ".join(f"{across(at):.1f},{down(spot.error_out):.1f}" for at, spot in enumerate(course))


def _dots(course: Sequence[Spot], across: Callable[[int], float], down: Callable[[float], float]) -> Iterator[str]:
    for at, spot in enumerate(course):
        told = (
            f"{spot.tensor} ({spot.op}) {spot.source}: {figure(spot.error_out)} whole, {figure(spot.local)} made here"
        )
        yield (
            f'<circle class="here" cx="{across(at):.1f}" cy="{down(spot.local):.1f}" r="3">'
            f"<title>{escape(told)}</title></circle>"
        )
