"""Candidates as CSV: one row a candidate, each batch size's figures in columns of their own."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxyard.lifecycle.candidate import Candidate, Ratio

LATENCY = ("p50_ms", "low_ms", "high_ms", "p99_ms", "cpu_ms", "calls")
RATIO = ("ratio", "ratio_low", "ratio_high")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def sheet(candidates: Sequence[Candidate]) -> str:
    """The table with a header; what is not known is empty. Milliseconds and bytes; columns of a batch size say so."""
    sizes = sorted({latency.batch_size for candidate in candidates for latency in candidate.latencies})
    rows = [_row(candidate, sizes) for candidate in candidates]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(candidate: Candidate, sizes: Sequence[int]) -> dict[str, str]:
    setup = candidate.setup
    row: dict[str, object] = {
        "target": candidate.target,
        "name": candidate.name,
        "recipe": candidate.recipe,
        "runtime": setup.runtime,
        "provider": setup.provider,
        "threads": setup.threads,
        "options": _pairs(setup.options),
        "outcome": candidate.outcome.value,
        "chosen": candidate.chosen,
        "pareto": candidate.pareto,
        "precision": candidate.precision,
        "portable": candidate.portable,
        "quality": candidate.quality,
        "drop_high": candidate.drop_high,
        **_ratio(candidate.ratio, ""),
        "cost": candidate.cost,
        "size_bytes": candidate.size_bytes,
        "memory_bytes": candidate.memory_bytes,
        "load_ms": candidate.load_ms,
    }
    latencies = {latency.batch_size: latency for latency in candidate.latencies}
    for size in sizes:
        latency = latencies.get(size)
        row |= {f"{name} batch {size}": getattr(latency, name, None) for name in LATENCY}
        row |= _ratio(None if latency is None else latency.ratio, f" batch {size}")
    row |= {
        "placement": _pairs(candidate.placement),
        "facts": _pairs(candidate.facts),
        "artifact": "" if candidate.artifact is None else candidate.artifact.digest,
        "note": candidate.note,
    }
    return {name: _cell(value) for name, value in row.items()}


def _ratio(ratio: Ratio | None, where: str) -> dict[str, object]:
    values = (None, None, None) if ratio is None else (ratio.value, ratio.low, ratio.high)
    return {f"{name}{where}": value for name, value in zip(RATIO, values, strict=True)}


def _pairs(values: dict[str, str] | dict[str, int]) -> str:
    return "; ".join(f"{name}={value}" for name, value in values.items())


def _cell(value: object) -> str:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection)."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return "" if math.isnan(value) else f"{value:.6g}"
        case str():
            text = value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
            return f"'{text}" if text.startswith(_FORMULA) else text
    return str(value)
