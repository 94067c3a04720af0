"""Candidates in the terminal, and as the JSON that commands print."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from onnxyard.lifecycle.candidate import Candidate, Latency, Outcome, Ratio
from onnxyard.lifecycle.wording import drop, interval, milliseconds, score, share, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import RenderableType

LIMIT = 8
"""Candidates that a run's summary shows for each target; `onnxyard show` shows all."""
WIDTHS = {"quality": 7, "drop ≤": 6, "p50 ms": 15, "ratio": 13, "size": 7, "memory": 7, "": 7}
"""Of columns, in characters: an interval goes below its figure, and a terminal of 80 has room for all of them."""


def finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity: null."""
    return value if value is not None and math.isfinite(value) else None


def candidate_document(candidate: Candidate) -> dict[str, Any]:
    """Everything known of a candidate, JSON-compatible.

    Times are in milliseconds, sizes in bytes; `p50_ms` and `p99_ms` are those of the target's first batch size.
    """
    setup, artifact = candidate.setup, candidate.artifact
    return {
        "name": candidate.name,
        "recipe": candidate.recipe,
        "target": candidate.target,
        "setup": {
            "runtime": setup.runtime,
            "provider": setup.provider,
            "threads": setup.threads,
            "options": dict(setup.options),
        },
        "outcome": candidate.outcome.value,
        "chosen": candidate.chosen,
        "pareto": candidate.pareto,
        "note": candidate.note,
        "precision": candidate.precision,
        "portable": candidate.portable,
        "artifact": None if artifact is None else artifact.digest,
        "size_bytes": candidate.size_bytes,
        "quality": finite(candidate.quality),
        "drop_high": finite(candidate.drop_high),
        "p50_ms": finite(candidate.p50_ms),
        "p99_ms": finite(candidate.p99_ms),
        "latencies": [_latency_document(latency) for latency in candidate.latencies],
        "ratio": None if candidate.ratio is None else _ratio_document(candidate.ratio),
        "cost": finite(candidate.cost),
        "memory_bytes": candidate.memory_bytes,
        "load_ms": finite(candidate.load_ms),
        "placement": dict(candidate.placement),
        "facts": dict(candidate.facts),
    }


def candidates_page(documents: Sequence[dict[str, Any]]) -> RenderableType:
    """All candidates with their figures, then what is said of each."""
    notes = Table(box=None, pad_edge=False, show_header=False)
    notes.add_column(overflow="fold", style="dim")
    notes.add_column(overflow="fold")
    for document in sorted(documents, key=_rank):
        notes.add_row(escape(document["name"]), escape(document["note"]))
    return Group(candidates_table(documents), "", notes)


def candidates_table(documents: Sequence[dict[str, Any]]) -> Table:
    """One row a candidate, the chosen one first in its target; times with the interval that they will lie in."""
    several = len({document["target"] for document in documents}) > 1
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="dim")
    table.add_column("candidate", overflow="fold")
    if several:
        table.add_column("target", overflow="fold")
    for name in ("quality", "drop ≤", "p50 ms", "ratio", "size", "memory"):
        table.add_column(name, justify="right", width=WIDTHS[name])
    table.add_column("", width=WIDTHS[""])
    for document in sorted(documents, key=_rank):
        first = document["latencies"][0] if document["latencies"] else {}
        ratio = document["ratio"] or {}
        cells = [
            document["name"],
            *([document["target"]] if several else []),
            score(document["quality"]),
            drop(document["drop_high"]),
            _bounded(milliseconds, document["p50_ms"], first.get("low_ms"), first.get("high_ms")),
            _bounded(share, ratio.get("value"), ratio.get("low"), ratio.get("high")),
            size(document["size_bytes"]),
            size(document["memory_bytes"]),
            _standing(document),
        ]
        table.add_row(*map(escape, cells), style="bold" if document["chosen"] else None)
    return table


def foremost(documents: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """For each target the measured ones that matter most; and what the others are, empty where there are none.

    Of one recipe in one runtime the best of its settings stands for all.
    """
    shown: list[dict[str, Any]] = []
    settings: set[tuple[str, str, str, str]] = set()
    taken: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for document in sorted(documents, key=_rank):
        setup = document["setup"]
        kind = (document["target"], document["recipe"], setup["runtime"], setup["provider"])
        measured = document["outcome"] == Outcome.MEASURED
        if measured and kind not in settings and taken[document["target"]] < LIMIT:
            taken[document["target"]] += 1
            settings.add(kind)
            shown.append(document)
        else:
            others[document["outcome"]] += 1
    told = ", ".join(f"{others[outcome]} {outcome}" for outcome in Outcome if others[outcome])
    return shown, f"{others.total()} more: {told}" if told else ""


def _rank(document: dict[str, Any]) -> tuple[str, bool, int, float]:
    """By target; the chosen one, then how far they came, then what they cost."""
    cost = document["cost"]
    outcome = list(Outcome).index(Outcome(document["outcome"]))
    return document["target"], not document["chosen"], outcome, math.inf if cost is None else cost


def _standing(document: dict[str, Any]) -> str:
    if document["outcome"] != Outcome.MEASURED:
        return str(document["outcome"])
    ratio = document["ratio"]
    tie = ratio is not None and ratio["tie"] and ratio["low"] != ratio["high"]  # the baseline is no tie with itself
    words = {"chosen": document["chosen"], "Pareto": document["pareto"] and not document["chosen"], "tie": tie}
    return ", ".join(word for word, holds in words.items() if holds)


def _bounded(worded: Callable[[float | None], str], value: float | None, low: float | None, high: float | None) -> str:
    """A figure with its interval, in brackets."""
    return f"{worded(value)} {interval(worded(low), worded(high))}".rstrip()


def _latency_document(latency: Latency) -> dict[str, Any]:
    return {
        "batch_size": latency.batch_size,
        "p50_ms": finite(latency.p50_ms),
        "low_ms": finite(latency.low_ms),
        "high_ms": finite(latency.high_ms),
        "p99_ms": finite(latency.p99_ms),
        "cpu_ms": finite(latency.cpu_ms),
        "calls": latency.calls,
        "ratio": _ratio_document(latency.ratio),
    }


def _ratio_document(ratio: Ratio) -> dict[str, Any]:
    return {"value": finite(ratio.value), "low": finite(ratio.low), "high": finite(ratio.high), "tie": ratio.tie}
