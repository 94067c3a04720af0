"""The candidates' scatter: what plotly.js draws, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard_dashboard.wording import size

if TYPE_CHECKING:
    from onnxyard.lifecycle.candidate import Candidate


def scatter(candidates: tuple[Candidate, ...]) -> list[dict[str, object]]:
    """One point per measured candidate: latency against quality; colours and layout are the browser's business."""
    return [
        {
            "recipe": candidate.recipe,
            "target": candidate.target,
            "p50_ms": candidate.p50_ms,
            "p99_ms": candidate.p99_ms,
            "quality": candidate.quality,
            "size": size(candidate.size_bytes),
            "chosen": candidate.chosen,
            "note": candidate.note,
        }
        for candidate in candidates
        if candidate.p50_ms is not None and candidate.quality is not None
    ]
