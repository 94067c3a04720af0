"""The picture of a search: quality against latency, one bubble a candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from onnxyard.lifecycle.candidate import Candidate, Outcome
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.wording import drop, interval, milliseconds, score, share, size
from onnxyard.stages.optimize.report.labels import CHARACTER, LINE, Box, Point, placed
from onnxyard.stages.optimize.report.legend import ROW, drawn_row, legend_rows
from onnxyard.stages.optimize.report.marks import Mark, front_of, is_tie, label_of, marks_of
from onnxyard.stages.optimize.report.markup import element
from onnxyard.stages.optimize.report.scales import LogScale, Scale
from onnxyard.stages.optimize.report.shapes import circle, line, place
from onnxyard.stages.optimize.report.style import RUNTIME_COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

LEFT, RIGHT, TOP, BOTTOM = 66.0, 18.0, 16.0, 48.0
"""Room around the plot, in the picture's units."""
SMALLEST, LARGEST = 4.5, 15.0
"""Radii of bubbles."""
REACH = 5.0
"""How many allowed drops below the baseline the quality axis goes at least; what is worse stands at its foot."""
LEAST_SPAN = 1.6
"""The latency axis spans at least this ratio, so that noise is not blown up to a landscape."""
LONGEST_LABEL = 40
MOST_LABELS = 80
"""Of the foremost; all others have their tooltip and their row."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Where things stand in one picture.

    Attributes:
        marks: What is drawn.
        baseline: The baseline's mark; None where it has no place itself.
        x: Latency in milliseconds to place.
        y: Quality to place.
        colours: By runtime and provider: a number of `colours.css`.
    """

    marks: tuple[Mark, ...]
    baseline: Mark | None
    x: LogScale
    y: Scale
    colours: dict[str, int]

    def radius(self, mark: Mark) -> float:
        """The bubble's: its area goes with the files' size."""
        largest = max(each.candidate.size_bytes or 0 for each in self.marks) or 1
        return max(LARGEST * math.sqrt((mark.candidate.size_bytes or 0) / largest), SMALLEST)

    def below(self, mark: Mark) -> bool:
        """Whether it is so much worse that it stands at the foot."""
        return mark.quality < self.y.low

    def whiskers(self, mark: Mark) -> list[Box]:
        """The median's interval, and how far the quality may really lie below: boxes without a breadth."""
        middle, level = self.x(mark.p50_ms), self.y(mark.quality)
        low, high = mark.bounds
        found = [Box(self.x(low), level, self.x(high), level)] if high > low else []
        drop_high = mark.candidate.drop_high
        if self.baseline is not None and drop_high is not None and math.isfinite(drop_high):
            worst = self.y(min(self.baseline.quality - drop_high, mark.quality))
            found.append(Box(middle, level, middle, worst))
        return found


def chart(
    candidates: Sequence[Candidate],
    *,
    metric: str,
    max_drop: float,
    width: float,
    height: float,
    class_: str = "",
    title: str = "",
) -> Element:
    """One target's picture as an SVG element of `width` by `height` units; style comes from `chart.css`.

    Args:
        candidates: The target's, the baseline first; at least one of them has a place (`marks_of`).
        metric: What the vertical axis shows.
        max_drop: The largest drop below the baseline that is allowed.
        width: In CSS pixels where nothing scales it.
        height: Likewise.
        class_: A further class of the element.
        title: Above the picture; none by default.
    """
    marks = tuple(marks_of(candidates))
    colours = _colours(marks)
    legend = legend_rows(colours, start=LEFT, end=width - 4)
    head = TOP + (22.0 if title else 0.0)
    foot = height - BOTTOM - len(legend) * ROW
    baseline = next((mark for mark in marks if mark.candidate is candidates[0]), None)
    plot = Plot(
        marks,
        baseline,
        _latency_scale(marks, LEFT, width - RIGHT),
        _quality_scale(marks, baseline, max_drop, head, foot),
        colours,
    )
    picture = element(
        "svg",
        element("rect", class_="ground", x=0, y=0, width=place(width), height=place(height)),
        class_=f"chart {class_}".strip(),
        view_box=f"0 0 {place(width)} {place(height)}",
        width=place(width),
        height=place(height),
        role="img",
        aria_label=f"{metric} against median latency of {len(marks)} candidates",
    )
    if title:
        picture.append(element("text", title, class_="title", x=LEFT, y=TOP + 6))
    picture.extend(_axes(plot, metric, candidates[0]))
    taken: list[Box] = []
    if baseline is not None:
        limit, box = _limit(plot, baseline.quality - max_drop)
        picture.extend(limit)
        taken.append(box)
    front = [(plot.x(mark.p50_ms), plot.y(mark.quality)) for mark in front_of(marks)]
    if len(front) > 1:
        picture.append(element("path", class_="front", d=_steps(front)))
    for mark in sorted(marks, key=plot.radius, reverse=True):
        picture.append(_bubble(plot, mark))
    area = Box(LEFT + 2, head - 8, width - 4, foot - 1)
    lines = [_thick(box) for mark in marks for box in plot.whiskers(mark)]
    lines += [_thick(Box(x1, y1, x2, y1)) for (x1, y1), (x2, _) in pairwise(front)]
    picture.extend(_labels(_points(plot, candidates[0]), area, taken, lines))
    for number, entries in enumerate(legend):
        picture.extend(drawn_row(entries, y=height - (len(legend) - number) * ROW + 8.0))
    return picture


def _latency_scale(marks: Sequence[Mark], start: float, end: float) -> LogScale:
    low = min(mark.bounds[0] for mark in marks)
    high = max(mark.bounds[1] for mark in marks)
    pad = max(math.sqrt(LEAST_SPAN / (high / low)), (high / low) ** 0.07, 1.04)
    return LogScale(low / pad, high * pad, start, end)


def _quality_scale(marks: Sequence[Mark], baseline: Mark | None, max_drop: float, head: float, foot: float) -> Scale:
    """From above the best to below the limit; far worse ones would press all others into one line."""
    top = max(mark.quality for mark in marks)
    origin = top if baseline is None else baseline.quality
    chosen = [mark for mark in marks if mark.candidate.chosen]
    promising = [mark.quality for mark in (*front_of(marks), *chosen)]
    reach = max(REACH * max_drop, 1.15 * (origin - min(promising, default=origin)), 1e-3 * abs(top), 1e-9)
    bottom = min(max(min(mark.quality for mark in marks), origin - reach), origin - 1.6 * max_drop)
    pad = max((top - bottom) * 0.14, 1e-4 * abs(top), 1e-9)
    return Scale(bottom - pad, top + pad, foot, head)


def _axes(plot: Plot, metric: str, first: Candidate) -> list[Element]:
    x, y = plot.x, plot.y
    left, right, foot, head = place(x.start), place(x.end), y.start, y.end
    found = []
    for value in y.ticks(6):
        at = place(y(value))
        found.append(element("line", class_="grid", x1=left, x2=right, y1=at, y2=at))
        found.append(element("text", score(value), x=place(x.start - 8), y=place(y(value) + 4), text_anchor="end"))
    for value in x.ticks(8 if x.end - x.start > 500 else 4):
        at = place(x(value))
        found.append(element("line", class_="grid", x1=at, x2=at, y1=place(head), y2=place(foot)))
        found.append(element("text", f"{value:.3g}", x=at, y=place(foot + 16), text_anchor="middle"))
    found.append(element("line", class_="axis", x1=left, x2=right, y1=place(foot), y2=place(foot)))
    rows = first.latencies[0].batch_size if first.latencies else 1
    told = f"median latency of a call with {rows} row{'' if rows == 1 else 's'}, ms (logarithmic)"
    middle = place((x.start + x.end) / 2)
    found.append(element("text", told, x=middle, y=place(foot + 34), text_anchor="middle"))
    level = place((head + foot) / 2)
    found.append(element("text", metric, x=14, y=level, text_anchor="middle", transform=f"rotate(-90 14 {level})"))
    return found


def _limit(plot: Plot, quality: float) -> tuple[list[Element], Box]:
    at, right, text = plot.y(quality), plot.x.end, "largest drop allowed"
    line_ = element("line", class_="limit", x1=LEFT, x2=place(right), y1=place(at), y2=place(at))
    label = element("text", text, class_="limit-label", x=place(right), y=place(at + 13), text_anchor="end")
    return [line_, label], Box(right - len(text) * CHARACTER, at + 2, right, at + 2 + LINE)


def _bubble(plot: Plot, mark: Mark) -> Element:
    """Whiskers, the bubble, and a ring around the chosen one; the tooltip says it all in words."""
    candidate = mark.candidate
    colour = f"run{plot.colours[_way(candidate)]}"
    middle, level, radius = plot.x(mark.p50_ms), plot.y(mark.quality), plot.radius(mark)
    group = element("g", element("title", _told(mark)))
    group.extend(line(colour, box.left, box.right, box.top, box.bottom) for box in plot.whiskers(mark))
    kinds = ["bubble", colour]
    kinds += [kind for kind, holds in (("pareto", candidate.pareto), ("tie", is_tie(candidate))) if holds]
    if plot.below(mark):
        corners = ((middle - 6, level - 12), (middle + 6, level - 12), (middle, level - 2))
        points = " ".join(f"{place(x)},{place(y)}" for x, y in corners)
        group.append(element("polygon", class_=" ".join(kinds), points=points))
    else:
        group.append(circle(" ".join(kinds), middle, level, radius))
    if candidate.chosen:
        group.append(circle("ring", middle, level, radius + 4))
    return group


def _points(plot: Plot, first: Candidate) -> list[tuple[Candidate, Point]]:
    """What is labelled, the most important first."""
    front = front_of(plot.marks)

    def rank(mark: Mark) -> tuple[bool, bool, bool, bool, float]:
        one = mark.candidate
        return not one.chosen, one is not first, mark not in front, not one.pareto, mark.p50_ms

    found = []
    for number, mark in enumerate(sorted(plot.marks, key=rank)):
        one = mark.candidate
        text = label_of(one, longest=LONGEST_LABEL) if number < MOST_LABELS else ""
        rim, level = plot.radius(mark) + (4 if one.chosen else 0), plot.y(mark.quality)
        if plot.below(mark):
            text, rim, level = text and f"{text}: {score(mark.quality)}", 6.0, level - 7
        needed = one.chosen or one is first
        near = not (needed or one.pareto)
        found.append((one, Point(plot.x(mark.p50_ms), level, rim, text, needed, near, bold=one.chosen)))
    return found


def _labels(
    points: Sequence[tuple[Candidate, Point]], area: Box, taken: Sequence[Box], lines: Sequence[Box]
) -> list[Element]:
    candidates = {id(point): candidate for candidate, point in points}
    found: list[Element] = []
    for label in placed([point for _, point in points], area, taken=taken, lines=lines):
        point, box = label.point, label.box
        if label.apart:
            found.append(_leader(point, box))
        one = candidates[id(point)]
        kind = "label chosen" if one.chosen else "label" if point.needed or one.pareto else "label minor"
        # A text's width is an estimate on the safe side: beside its point it is set against that side.
        anchor, at = "middle", (box.left + box.right) / 2
        if box.left >= point.x:
            anchor, at = "start", box.left
        elif box.right <= point.x:
            anchor, at = "end", box.right
        text = element("text", point.text, class_=kind, x=place(at), y=place(box.bottom - 3.5), text_anchor=anchor)
        found.append(text)
    return found


def _leader(point: Point, box: Box) -> Element:
    """From the point's rim to the nearest spot of its label."""
    x = min(max(point.x, box.left), box.right)
    y = min(max(point.y, box.top + 2), box.bottom - 2)
    part = point.radius / (math.hypot(x - point.x, y - point.y) or 1.0)
    start = (point.x + (x - point.x) * part, point.y + (y - point.y) * part)
    return element("line", class_="leader", x1=place(start[0]), y1=place(start[1]), x2=place(x), y2=place(y))


def _thick(box: Box) -> Box:
    return Box(box.left - 1, box.top - 1, box.right + 1, box.bottom + 1)


def _way(candidate: Candidate) -> str:
    """Runtime and provider: what the colour tells."""
    return str(Setup(candidate.setup.runtime, candidate.setup.provider, 0))


def _colours(marks: Sequence[Mark]) -> dict[str, int]:
    ways = list(dict.fromkeys(_way(mark.candidate) for mark in marks))
    return {way: min(number, RUNTIME_COLOURS - 1) for number, way in enumerate(ways)}


def _told(mark: Mark) -> str:
    one, latency = mark.candidate, mark.candidate.latencies[0]
    p50 = milliseconds(mark.p50_ms)
    lines = [
        one.name,
        f"p50 {p50} ms {interval(milliseconds(latency.low_ms), milliseconds(latency.high_ms))}".rstrip(),
        f"quality {score(one.quality)}, dropping by {drop(one.drop_high)} at most",
        f"{size(one.size_bytes)}",
    ]
    if one.ratio is not None:
        bounds = interval(share(one.ratio.low), share(one.ratio.high))
        lines.insert(2, f"{share(one.ratio.value)} {bounds} times the baseline's latency".replace("  ", " "))
    if one.outcome is not Outcome.MEASURED:
        lines.append(str(one.outcome))
    return "\n".join([*lines, *([one.note] if one.note else [])])


def _steps(points: Sequence[tuple[float, float]]) -> str:
    first, *others = points
    return f"M{place(first[0])} {place(first[1])}" + "".join(f"H{place(x)}V{place(y)}" for x, y in others)
