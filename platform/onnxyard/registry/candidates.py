"""Between the candidates' rows and the domain's frozen types."""

from __future__ import annotations

import math
from typing import Any

from onnxyard.lifecycle.artifact import Artifact, ArtifactFile
from onnxyard.lifecycle.candidate import Candidate, Latency, Ratio
from onnxyard.lifecycle.setup import Setup
from onnxyard.registry.tables import CandidateRow


def candidate_row(position: int, candidate: Candidate) -> CandidateRow:
    """A candidate, ready to be added as the version's `position`th."""
    setup, ratio, artifact = candidate.setup, candidate.ratio, candidate.artifact
    return CandidateRow(
        position=position,
        name=candidate.name,
        recipe=candidate.recipe,
        target=candidate.target,
        runtime=setup.runtime,
        provider=setup.provider,
        threads=setup.threads,
        options=dict(setup.options),
        outcome=candidate.outcome,
        note=storable(candidate.note),
        precision=candidate.precision,
        portable=candidate.portable,
        digest=None if artifact is None else artifact.digest,
        files=None if artifact is None else files_document(artifact),
        size_bytes=candidate.size_bytes,
        quality=known(candidate.quality),
        drop_high=known(candidate.drop_high),
        p50_ms=known(candidate.p50_ms),
        p99_ms=known(candidate.p99_ms),
        latencies=[_latency_document(latency) for latency in candidate.latencies],
        ratio=None if ratio is None else known(ratio.value),
        ratio_low=None if ratio is None else known(ratio.low),
        ratio_high=None if ratio is None else known(ratio.high),
        cost=known(candidate.cost),
        memory_bytes=candidate.memory_bytes,
        load_ms=known(candidate.load_ms),
        placement=dict(candidate.placement),
        facts=dict(candidate.facts),
        pareto=candidate.pareto,
        chosen=candidate.chosen,
    )


def candidate_of(row: CandidateRow) -> Candidate:
    """The candidate a row tells of."""
    return Candidate(
        name=row.name,
        recipe=row.recipe,
        target=row.target,
        setup=Setup(row.runtime, row.provider, row.threads, row.options),
        outcome=row.outcome,
        note=row.note,
        precision=row.precision,
        portable=row.portable,
        artifact=None if row.files is None else files_of(row.files),
        quality=row.quality,
        drop_high=row.drop_high,
        latencies=tuple(_latency_of(each) for each in row.latencies),
        ratio=None if row.ratio is None else Ratio(row.ratio, _measured(row.ratio_low), _measured(row.ratio_high)),
        cost=row.cost,
        memory_bytes=row.memory_bytes,
        load_ms=row.load_ms,
        placement=row.placement,
        facts=row.facts,
        pareto=row.pareto,
        chosen=row.chosen,
    )


def files_document(artifact: Artifact) -> list[dict[str, object]]:
    """A manifest's files as JSON."""
    return [{"path": f.path, "sha256": f.sha256, "size_bytes": f.size_bytes} for f in artifact.files]


def files_of(document: list[dict[str, Any]]) -> Artifact:
    """The manifest again."""
    return Artifact(tuple(ArtifactFile(**file) for file in document))


def known(value: float | None) -> float | None:
    """Where a value may be absent, NaN is: one database would keep it and the other not."""
    return None if value is None or math.isnan(value) else float(value)


def storable(text: str) -> str:
    """What a crashed runtime wrote may hold NUL or half a character, which PostgreSQL takes in no text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def _latency_document(latency: Latency) -> dict[str, object]:
    return {
        "batch_size": latency.batch_size,
        "p50_ms": _number(latency.p50_ms),
        "low_ms": _number(latency.low_ms),
        "high_ms": _number(latency.high_ms),
        "p99_ms": _number(latency.p99_ms),
        "cpu_ms": _number(latency.cpu_ms),
        "calls": latency.calls,
        "ratio": [_number(latency.ratio.value), _number(latency.ratio.low), _number(latency.ratio.high)],
    }


def _latency_of(document: dict[str, Any]) -> Latency:
    value, low, high = (_measured(each) for each in document["ratio"])
    names = ("p50_ms", "low_ms", "high_ms", "p99_ms", "cpu_ms")
    return Latency(
        batch_size=document["batch_size"],
        calls=document["calls"],
        ratio=Ratio(value, low, high),
        **{name: _measured(document[name]) for name in names},
    )


def _number(value: float) -> float | str | None:
    """JSON has neither NaN nor infinity: null, and a text that `float` reads."""
    if math.isnan(value):
        return None
    return str(value) if math.isinf(value) else float(value)


def _measured(value: float | str | None) -> float:
    return math.nan if value is None else float(value)
