"""A window: a stretch of an endpoint's traffic, compared with the version's reference profile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.drift import ColumnDrift, DriftVerdict


@dataclass(frozen=True, slots=True)
class Window:
    """One comparison and its result.

    Attributes:
        endpoint: The endpoint's name.
        model: The model's name.
        version: The champion's number whose reference was used.
        first_sequence: First prediction-log sequence number in the window (inclusive).
        last_sequence: Last one (inclusive); with the first and the endpoint it names the window uniquely.
        started_at: Time of the first prediction (UTC).
        ended_at: Time of the last prediction (UTC).
        rows: Logged rows compared (a request of batch n counts n).
        verdict: Drift, no drift, or undecided.
        columns: One entry per compared column.
        report: The Evidently HTML report as an artifact; None where none was rendered.
        detail: One sentence a person reads.
        created_at: When the comparison was recorded (UTC).
    """

    endpoint: str
    model: str
    version: int
    first_sequence: int
    last_sequence: int
    started_at: datetime
    ended_at: datetime
    rows: int
    verdict: DriftVerdict
    columns: tuple[ColumnDrift, ...]
    report: Artifact | None
    detail: str
    created_at: datetime
