"""What was asked and answered: written by serving, read by monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """One answered request.

    Attributes:
        sequence: Given by the replica when it accepts the request; grows by one, so that a lost record shows as a gap.
        replica: The replica that answered; sequences are counted per replica and endpoint.
        request_id: Made by the server; at most one record has it.
        client_id: The client's own `id`, or None.
        endpoint: The endpoint's name.
        model: The model's name.
        version: The version that answered.
        digest: Its model artifact's digest.
        role: As `champion`.
        generation: The endpoint's generation that answered.
        at: When the answer was ready (UTC).
        rows: The request's batch size.
        duration_us: From accepted to answered, in microseconds.
        columns: The request and its answer described by the version's profile: column name to one value per row
            (float, or str for categories).
    """

    sequence: int
    replica: str
    request_id: str
    client_id: str | None
    endpoint: str
    model: str
    version: int
    digest: str
    role: str
    generation: int
    at: datetime
    rows: int
    duration_us: int
    columns: dict[str, list[float] | list[str]]


@dataclass(frozen=True, slots=True)
class LoggedWindow:
    """A stretch of the log, oldest row first.

    Attributes:
        endpoint: The endpoint's name.
        version: All rows were answered by this version.
        first: Log position of the first record (positions grow over all replicas of an endpoint).
        last: Log position of the last record.
        started_at: Time of the first record (UTC).
        ended_at: Time of the last record (UTC).
        rows: Length of every column.
        columns: Column name to values.
        missing: Records known to be lost, from gaps in the replicas' sequences.
    """

    endpoint: str
    version: int
    first: int
    last: int
    started_at: datetime
    ended_at: datetime
    rows: int
    columns: dict[str, list[float] | list[str]]
    missing: int


class PredictionLog(Protocol):
    """Append-only; a second record with the same request id is dropped."""

    def append(self, records: Sequence[PredictionRecord]) -> None:
        """Write records in one transaction. Raises StorageFullError, UnreachableError."""
        ...

    def window(self, endpoint: str, *, version: int, rows: int, after: int = 0) -> LoggedWindow | None:
        """The latest stretch of at least `rows` rows (or all there are) of that version behind log position `after`.

        None where there is no record.
        """
        ...

    def count(self, endpoint: str) -> int:
        """Requests logged for the endpoint."""
        ...
