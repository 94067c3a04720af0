"""A prediction log in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any

from onnxyard.ports.prediction_log import LoggedWindow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onnxyard.ports.prediction_log import PredictionRecord


class InMemoryPredictionLog:
    """The port `PredictionLog` in a list; positions are places in it, from 1."""

    def __init__(self) -> None:
        self.records: list[PredictionRecord] = []
        self._lock = threading.Lock()

    def append(self, records: Sequence[PredictionRecord]) -> None:
        with self._lock:
            known = {record.request_id for record in self.records}
            for record in records:
                if record.request_id not in known:
                    known.add(record.request_id)
                    self.records.append(record)

    def window(self, endpoint: str, *, version: int, rows: int, after: int = 0) -> LoggedWindow | None:
        with self._lock:
            numbered = [(at, each) for at, each in enumerate(self.records, 1) if each.endpoint == endpoint]
        taken = 0
        found: list[tuple[int, PredictionRecord]] = []
        for at, record in reversed(numbered):
            if at <= after or taken >= rows:
                break
            if record.version == version:
                found.insert(0, (at, record))
                taken += record.rows
        if not found:
            return None
        first, last = found[0][0], found[-1][0]
        columns: dict[str, list[Any]] = {
            name: list(chain.from_iterable(record.columns[name] for _, record in found)) for name in found[0][1].columns
        }
        return LoggedWindow(
            endpoint=endpoint,
            version=version,
            first=first,
            last=last,
            started_at=found[0][1].at,
            ended_at=found[-1][1].at,
            rows=taken,
            columns=columns,
            missing=_missing(record for at, record in numbered if first <= at <= last),
        )

    def count(self, endpoint: str) -> int:
        with self._lock:
            return sum(record.endpoint == endpoint for record in self.records)


def _missing(records: Iterable[PredictionRecord]) -> int:
    sequences: defaultdict[str, list[int]] = defaultdict(list)
    for record in records:
        sequences[record.replica].append(record.sequence)
    return sum(max(numbers) - min(numbers) + 1 - len(numbers) for numbers in sequences.values())
