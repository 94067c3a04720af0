"""Between requests and the prediction log: a bounded queue and one writer, so that logging never holds an answer."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import OnnxyardError
from onnxyard.ports.prediction_log import PredictionRecord
from onnxyard_serving.served import ServedVersion

if TYPE_CHECKING:
    from onnxyard.ports.prediction_log import PredictionLog

logger = logging.getLogger(__name__)

MAX_WAITING = 8192
"""Answers that may wait for the writer."""
MAX_WAITING_BYTES = 128 << 20
"""Bytes of tensors that may wait, described only by the writer."""
MAX_BATCH = 1024
GATHER_SECONDS = 0.05
"""The writer waits this long for more before it writes, so that a disk's flush is shared by many answers."""
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Answered:
    """One answered request, as the request's thread hands it over.

    Attributes:
        served: The version that answered.
        request_id: Made by the server.
        client_id: The client's own, or None.
        raw: The raw inputs.
        answers: What was answered.
        rows: The batch size.
        at: When the answer was ready (UTC).
        duration_us: From accepted to answered, in microseconds.
    """

    served: ServedVersion
    request_id: str
    client_id: str | None
    raw: Mapping[str, np.ndarray]
    answers: Mapping[str, np.ndarray]
    rows: int
    at: datetime
    duration_us: int

    @property
    def size_bytes(self) -> int:
        """Bytes of its tensors."""
        return sum(array.nbytes for array in (*self.raw.values(), *self.answers.values()))


class Journal:
    """Takes answered requests, numbers them and writes them in order.

    A full queue drops the answer, but its number is spent: the gap shows in the log. While the log cannot be written
    (a full disk) the writer keeps its batch and tries again, so what is lost is what no longer fits in the queue.

    Args:
        log: Where records go.
        writer: This process among all that ever wrote; sequences are counted from 1 per writer and endpoint.
    """

    def __init__(
        self, log: PredictionLog, *, writer: str, max_waiting: int = MAX_WAITING, max_bytes: int = MAX_WAITING_BYTES
    ) -> None:
        self._log = log
        self._writer = writer
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[int, Answered]] = deque()
        self._waiting_bytes = 0
        self._sequences: defaultdict[str, int] = defaultdict(int)
        self._dropped = 0
        self._failure = ""
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write, name="prediction-log")

    @property
    def dropped(self) -> int:
        """Answers that were not logged and will not be."""
        return self._dropped

    @property
    def failure(self) -> str:
        """Why the log cannot be written at present; empty while it can."""
        return self._failure

    def start(self) -> None:
        """Start the writer."""
        self._thread.start()

    def take(self, answered: Answered) -> None:
        """Hand over an answered request; never waits for the log."""
        size = answered.size_bytes
        with self._changed:
            endpoint = answered.served.endpoint
            self._sequences[endpoint] += 1
            if len(self._waiting) >= self._max_waiting or self._waiting_bytes + size > self._max_bytes:
                self._dropped += 1
                return
            self._waiting.append((self._sequences[endpoint], answered))
            self._waiting_bytes += size
            self._changed.notify()

    def close(self) -> None:
        """Write what waits, then stop; a log that still cannot be written loses it, and says so."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        self._thread.join()

    def _write(self) -> None:
        while batch := self._next_batch():
            records = [record for number, answered in batch if (record := self._record(number, answered)) is not None]
            while not self._append(records):
                if self._closing.wait(RETRY_SECONDS):
                    self._append_finally(records)
                    break

    def _next_batch(self) -> list[tuple[int, Answered]]:
        """What waits, up to a batch; waits for the first, and is empty only at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
        if len(self._waiting) < MAX_BATCH:
            self._closing.wait(GATHER_SECONDS)
        with self._changed:
            batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            self._waiting_bytes -= sum(answered.size_bytes for _, answered in batch)
            return batch

    def _append(self, records: list[PredictionRecord]) -> bool:
        try:
            self._log.append(records)
        except OnnxyardError as error:
            if not self._failure:
                logger.warning("predictions are not being logged: %s", error)
            self._failure = error.detail
            return False
        self._failure = ""
        return True

    def _append_finally(self, records: list[PredictionRecord]) -> None:
        if not self._append(records):
            self._dropped += len(records)
            logger.error("%d predictions were not logged: %s", len(records), self._failure)

    def _record(self, sequence: int, answered: Answered) -> PredictionRecord | None:
        served = answered.served
        try:
            columns = served.layout.describe(answered.raw, answered.answers)
        except Exception:
            # One request that cannot be described must not end the log of all others; its number stays a gap.
            logger.exception("request %s cannot be described for the prediction log", answered.request_id)
            self._dropped += 1
            return None
        return PredictionRecord(
            sequence=sequence,
            replica=self._writer,
            request_id=answered.request_id,
            client_id=answered.client_id,
            endpoint=served.endpoint,
            model=served.assignment.model,
            version=served.version,
            digest=served.digest,
            role=served.assignment.role,
            generation=served.generation,
            at=answered.at,
            rows=answered.rows,
            duration_us=answered.duration_us,
            columns={name: values.tolist() for name, values in columns.items()},
        )
