"""The report as a page: for each target the choice and its reason, the picture, and every candidate."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from onnxyard.lifecycle.candidate import Candidate, Latency, Outcome
from onnxyard.lifecycle.wording import drop, interval, milliseconds, score, share, size
from onnxyard.stages.optimize.report.chart import chart
from onnxyard.stages.optimize.report.marks import is_tie, marks_of
from onnxyard.stages.optimize.report.markup import element, html
from onnxyard.stages.optimize.report.style import page_style

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from xml.etree.ElementTree import Element

WIDE, NARROW = (1080.0, 470.0), (380.0, 430.0)
"""The picture's size on a screen and on a phone."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
GOALS = {
    "p50": "the smallest median latency",
    "p99": "the smallest 99th percentile of latency",
    "throughput": "the least time per row",
    "size": "the smallest files",
    "memory": "the least peak memory",
}
COLUMNS = ("Candidate", "Quality", "Drop ≤", "p50 ms", "p99 ms", "Ratio", "CPU ms", "Size", "Memory", "Load ms", "")


def page(
    candidates: Sequence[Candidate], *, model: str, minimize: str, metric: str, max_drop: float, confidence: float
) -> str:
    """A page of its own: no script, nothing fetched. Arguments as `write_report`."""
    goal = (
        f"Wanted: {GOALS[minimize]}, with {metric} at most {max_drop:g} below the baseline's "
        f"({confidence:.0%} confidence). Ratios are latencies divided by the baseline's, timed in turns with it; "
        "brackets are 95 % intervals."
    )
    main = element("main", element("h1", f"{model}: what optimize tried"), element("p", goal, class_="goals"))
    for target, found in by_target(candidates).items():
        main.append(_target(target, found, metric=metric, max_drop=max_drop))
    return html(
        element(
            "html",
            element(
                "head",
                element("meta", charset="utf-8"),
                element("meta", http_equiv="Content-Security-Policy", content=POLICY),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("title", f"{model}: optimize"),
                element("style", page_style()),
            ),
            element("body", main),
            lang="en",
        )
    )


def by_target(candidates: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """The candidates of each target, in their order."""
    grouped = groupby(sorted(candidates, key=lambda one: one.target), key=lambda one: one.target)
    found = {target: list(ones) for target, ones in grouped}
    return {target: found[target] for target in dict.fromkeys(one.target for one in candidates)}


def _target(target: str, candidates: list[Candidate], *, metric: str, max_drop: float) -> Element:
    chosen = next((one for one in candidates if one.chosen), None)
    section = element("section", element("h2", f"Target {target}"), class_="panel")
    if chosen is None:
        section.append(element("p", "None of the candidates was chosen.", class_="choice"))
    else:
        section.append(element("p", _sentence(chosen.note), class_="choice"))
        section.append(_tiles(chosen, metric))
    if marks_of(candidates):
        for class_, (width, height) in (("wide", WIDE), ("narrow", NARROW)):
            section.append(
                chart(candidates, metric=metric, max_drop=max_drop, width=width, height=height, class_=class_)
            )
    untimed = [one for one in candidates if one.outcome is Outcome.MEASURED and not one.latencies]
    if untimed:
        names = ", ".join(one.name for one in untimed)
        told = f"Not in the picture, for their runtime is emulated here and its speed means nothing: {names}."
        section.append(element("p", told, class_="untimed"))
    section.append(element("div", _table(candidates), class_="scroll"))
    return section


def _tiles(chosen: Candidate, metric: str) -> Element:
    tiles = element("dl", class_="tiles")
    latency = chosen.latencies[0] if chosen.latencies else None
    figures = [(metric, score(chosen.quality), f"drops by {drop(chosen.drop_high)} at most")]
    if latency is not None:
        bounds = interval(milliseconds(latency.low_ms), milliseconds(latency.high_ms))
        figures.append((_call("p50", latency), f"{milliseconds(latency.p50_ms)} ms", bounds))
        figures.append((_call("p99", latency), f"{milliseconds(latency.p99_ms)} ms", ""))
    if chosen.ratio is not None:
        bounds = interval(share(chosen.ratio.low), share(chosen.ratio.high))
        figures.append(("of the baseline's latency", f"{share(chosen.ratio.value)}", bounds))
    figures.append(("size", size(chosen.size_bytes), ""))
    if chosen.memory_bytes is not None:
        figures.append(("peak memory", size(chosen.memory_bytes), ""))
    for name, value, beside in figures:
        said = element("dd", f"{value} ", element("small", beside) if beside else None)
        tiles.append(element("div", element("dt", name), said))
    return tiles


def _call(figure: str, latency: Latency) -> str:
    return f"{figure}, {latency.batch_size} row{'' if latency.batch_size == 1 else 's'} a call"


def _table(candidates: list[Candidate]) -> Element:
    head = element("tr")
    for name in COLUMNS:
        number = name not in {"Candidate", ""}
        head.append(element("th", name, class_="num") if number else element("th", name))
    body = element("tbody")
    for candidate in sorted(candidates, key=_rank):
        body.append(_figures(candidate))
        body.append(element("tr", _said(candidate), class_="said"))
    return element("table", element("thead", head), body)


def _rank(candidate: Candidate) -> tuple[bool, int, float]:
    """The chosen one, then how far they came, then what they cost."""
    cost = candidate.cost
    outcome = list(Outcome).index(candidate.outcome)
    return not candidate.chosen, outcome, math.inf if cost is None or math.isnan(cost) else cost


def _figures(candidate: Candidate) -> Element:
    latency = candidate.latencies[0] if candidate.latencies else None
    ratio = candidate.ratio
    row = element("tr", element("td", candidate.name, class_="name"), class_="chosen" if candidate.chosen else "other")
    for value, beside in (
        (score(candidate.quality), ""),
        (drop(candidate.drop_high), ""),
        _bounded(milliseconds, *((latency.p50_ms, latency.low_ms, latency.high_ms) if latency else (None,) * 3)),
        (milliseconds(None if latency is None else latency.p99_ms), ""),
        _bounded(share, *((ratio.value, ratio.low, ratio.high) if ratio else (None,) * 3)),
        (milliseconds(None if latency is None else latency.cpu_ms), ""),
        (size(candidate.size_bytes), ""),
        (size(candidate.memory_bytes), ""),
        (milliseconds(candidate.load_ms), ""),
    ):
        row.append(element("td", value, element("small", beside) if beside else None, class_="num"))
    standing = element("td", class_="standing")
    for word, kind in _standing(candidate):
        standing.append(element("span", word, class_=f"pill {kind}"))
    row.append(standing)
    return row


def _standing(candidate: Candidate) -> list[tuple[str, str]]:
    if candidate.outcome is not Outcome.MEASURED:
        return [(str(candidate.outcome), str(candidate.outcome))]
    words = (("chosen", candidate.chosen), ("pareto", candidate.pareto), ("tie", is_tie(candidate)))
    return [("Pareto" if word == "pareto" else word, word) for word, holds in words if holds]


def _bounded(
    worded: Callable[[float | None], str], value: float | None, low: float | None, high: float | None
) -> tuple[str, str]:
    return worded(value), interval(worded(low), worded(high))


def _said(candidate: Candidate) -> Element:
    """The note, and, folded, all that is known beside the figures."""
    facts = element("dl", class_="facts")
    told = {
        "recipe": candidate.recipe,
        "run by": f"{candidate.setup} ({candidate.setup.provider})",
        "precision": candidate.precision,
        "operators": "of the ONNX standard only" if candidate.portable else "some of a runtime's own",
        "nodes by provider": ", ".join(f"{name}: {count}" for name, count in candidate.placement.items()),
        **candidate.facts,
        "artifact": "" if candidate.artifact is None else candidate.artifact.digest,
    }
    for name, value in told.items():
        if value and (candidate.artifact is not None or name != "operators"):
            facts.extend((element("dt", name), element("dd", value)))
    summary = element("summary", _sentence(candidate.note) if candidate.note and not candidate.chosen else "Details")
    fold = element("details", summary, facts)
    if len(candidate.latencies) > 1:
        fold.append(_batches(candidate.latencies))
    return element("td", fold, colspan=len(COLUMNS))


def _batches(latencies: Sequence[Latency]) -> Element:
    head = element("tr")
    for name in ("Rows a call", "p50 ms", "p99 ms", "CPU ms", "Ratio", "Calls"):
        head.append(element("th", name, class_="num"))
    body = element("tbody")
    for each in latencies:
        row = element("tr")
        for text in (
            str(each.batch_size),
            " ".join(_bounded(milliseconds, each.p50_ms, each.low_ms, each.high_ms)),
            milliseconds(each.p99_ms),
            milliseconds(each.cpu_ms),
            " ".join(_bounded(share, each.ratio.value, each.ratio.low, each.ratio.high)),
            f"{each.calls:,}",
        ):
            row.append(element("td", text, class_="num"))
        body.append(row)
    return element("table", element("thead", head), body, class_="batches")


def _sentence(note: str) -> str:
    return note if note.endswith((".", "!", "?")) else f"{note}."
