"""What MLflow is told of a search: each candidate's figures, why it fared so, the chosen ones, and the report."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from onnxyard.lifecycle.candidate import Candidate, Ratio
    from onnxyard.lifecycle.handover import OptimizeResult
    from onnxyard.ports.recorder import StageRecord

LONGEST_NAME = 200
"""Of a candidate with its target: MLflow takes keys of 250 characters, and the figure's name follows."""
LONGEST_NOTE = 5000
"""MLflow takes tags of 8000 characters; a runtime's crash may have written more."""


def tell_search(stage: StageRecord, result: OptimizeResult, *, report: Path) -> None:
    """Record every candidate, the chosen ones and the report.

    Args:
        stage: The stage's run.
        result: What optimize gave.
        report: The folder in which the report's files lie.
    """
    for name, candidate in _named(result.candidates):
        figures = {f"{name}/{figure}": value for figure, value in _figures(candidate) if math.isfinite(value)}
        if figures:
            stage.metrics(figures)
        stage.tags({f"onnxyard.candidate.{name}": f"{candidate.outcome}: {candidate.note}"[:LONGEST_NOTE]})
        if candidate.chosen:
            stage.params(
                {
                    f"chosen.{candidate.target}": candidate.name,
                    f"chosen.{candidate.target}.recipe": candidate.recipe,
                    f"chosen.{candidate.target}.setup": str(candidate.setup),
                }
            )
    for file in result.report.files:
        stage.file(report / file.path, folder="report")


def _named(candidates: Iterable[Candidate]) -> Iterator[tuple[str, Candidate]]:
    """Each candidate with its key, as `cpu/int8-qdq openvino precision bf16`: MLflow groups by what precedes a `/`."""
    taken: set[str] = set()
    for candidate in candidates:
        words = re.sub(r"[^\w.\-]+", " ", candidate.name).strip(" .")
        name = key = f"{candidate.target}/{words}"[:LONGEST_NAME].strip(" .")
        number = 1
        while key in taken:  # two names that differ in signs alone
            number += 1
            key = f"{name} {number}"
        taken.add(key)
        yield key, candidate


def _figures(candidate: Candidate) -> Iterator[tuple[str, float]]:
    """What was measured: milliseconds, bytes, and the metric's own unit."""
    single = {
        "quality": candidate.quality,
        "drop_high": candidate.drop_high,
        "cost": candidate.cost,
        "memory_bytes": candidate.memory_bytes,
        "size_bytes": candidate.size_bytes,
        "load_ms": candidate.load_ms,
    }
    yield from ((name, float(value)) for name, value in single.items() if value is not None)
    if candidate.ratio is not None:
        yield from _bounds(candidate.ratio)
    for latency in candidate.latencies:
        told = [(figure, getattr(latency, figure)) for figure in ("p50_ms", "low_ms", "high_ms", "p99_ms", "cpu_ms")]
        for figure, value in (*told, *_bounds(latency.ratio)):
            yield f"{figure} batch {latency.batch_size}", value


def _bounds(ratio: Ratio) -> Iterator[tuple[str, float]]:
    yield from (("ratio", ratio.value), ("ratio_low", ratio.low), ("ratio_high", ratio.high))
