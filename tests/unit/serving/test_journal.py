"""The queue in front of the log: it never waits, never logs twice, and what it loses shows as a gap."""

import json
import threading
from datetime import UTC, datetime

import numpy as np
import pytest

from onnxyard.errors import StorageFullError
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.profile.layout import Layout
from onnxyard.project.processing import Processing
from onnxyard.testing import InMemoryPredictionLog
from onnxyard_serving import journal as journals
from onnxyard_serving.assignment import Assignment
from onnxyard_serving.journal import Answered, Journal
from onnxyard_serving.served import ServedVersion

SIGNATURE = Signature((TensorSpec("x", "FLOAT", ("batch", 2)),), (TensorSpec("y", "FLOAT", ("batch", 3)),))
ASSIGNMENT = Assignment(
    endpoint="digits",
    generation=4,
    role="champion",
    model="digits",
    version=2,
    target="cpu",
    signature=SIGNATURE,
    model_signature=SIGNATURE,
    model_digest="a" * 64,
    setup=Setup("openvino", "CPU", 2, {"precision": "bf16"}),
    golden_set="b" * 64,
    reference="c" * 64,
    processing=None,
)
SERVED = ServedVersion(ASSIGNMENT, loaded=None, processing=Processing(), layout=Layout.of(SIGNATURE), precision="fp32")


def answered(number, *, rows=1, answers=None):
    return Answered(
        served=SERVED,
        request_id=f"request-{number}",
        client_id=None,
        raw={"x": np.full((rows, 2), number, dtype=np.float32)},
        answers={"y": np.zeros((rows, 3), dtype=np.float32)} if answers is None else answers,
        rows=rows,
        at=datetime.now(UTC),
        duration_us=10,
    )


class GatedLog(InMemoryPredictionLog):
    """Writes only while its gate is open; raises `error` while there is one."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.reached = threading.Event()
        self.error = None

    def append(self, records):
        self.reached.set()
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        super().append(records)


def test_what_was_taken_is_written_in_order_before_close_returns():
    log = InMemoryPredictionLog()
    journal = Journal(log, writer="yard-1/a")
    journal.start()
    for number in range(600):
        journal.take(answered(number))
    journal.close()
    assert [record.sequence for record in log.records] == list(range(1, 601))
    assert [record.request_id for record in log.records] == [f"request-{number}" for number in range(600)]
    last = log.records[-1]
    assert (last.replica, last.endpoint, last.version, last.generation) == ("yard-1/a", "digits", 2, 4)
    assert (last.role, last.digest) == ("champion", "a" * 64)
    assert last.columns == {"x.0": [599.0], "x.1": [599.0], "y.top": [0.0]}


@pytest.mark.parametrize("limit", [{"max_waiting": 3}, {"max_bytes": 3 * 20}], ids=["answers", "bytes"])
def test_an_overflow_drops_without_waiting_and_shows_as_a_gap(limit):
    log = GatedLog()
    journal = Journal(log, writer="yard-1/a", **limit)
    journal.start()
    journal.take(answered(1))
    assert log.reached.wait(10)  # the writer holds the first one now
    for number in range(2, 8):
        journal.take(answered(number))
    log.gate.set()
    journal.close()
    assert [record.sequence for record in log.records] == [1, 2, 3, 4]
    assert journal.dropped == 3
    journal_again = Journal(log, writer="yard-1/b")  # a new process counts anew under a name of its own
    journal_again.start()
    journal_again.take(answered(99))
    journal_again.close()
    assert log.window("digits", version=2, rows=100).missing == 0


def test_a_gap_in_the_middle_is_counted():
    log = GatedLog()
    journal = Journal(log, writer="yard-1/a", max_waiting=1)
    journal.start()
    journal.take(answered(1))
    assert log.reached.wait(10)
    for number in (2, 3, 4):
        journal.take(answered(number))
    log.reached.clear()
    log.gate.set()
    assert log.reached.wait(10)  # it came back for the second: there is room again
    journal.take(answered(5))
    journal.close()
    assert log.window("digits", version=2, rows=100).missing == 2


def test_a_log_that_cannot_be_written_for_a_while_loses_nothing(monkeypatch):
    monkeypatch.setattr(journals, "RETRY_SECONDS", 0.01)
    log = GatedLog()
    log.gate.set()
    log.error = StorageFullError("No space is left.")
    journal = Journal(log, writer="yard-1/a")
    journal.start()
    journal.take(answered(1))
    assert log.reached.wait(10)
    while not journal.failure:
        threading.Event().wait(0.005)
    assert journal.failure == "No space is left."
    log.error = None
    journal.take(answered(2))
    journal.close()
    assert [record.sequence for record in log.records] == [1, 2]
    assert (journal.dropped, journal.failure) == (0, "")


def test_closing_gives_up_on_a_log_that_stays_broken():
    log = GatedLog()
    log.gate.set()
    log.error = StorageFullError("No space is left.")
    journal = Journal(log, writer="yard-1/a")
    journal.start()
    journal.take(answered(1))
    journal.close()
    assert journal.dropped == 1


def test_one_answer_that_cannot_be_described_does_not_end_the_log(caplog):
    log = InMemoryPredictionLog()
    journal = Journal(log, writer="yard-1/a")
    journal.start()
    journal.take(answered(1))
    journal.take(answered(2, answers={}))
    journal.take(answered(3))
    journal.close()
    assert [record.sequence for record in log.records] == [1, 3]
    assert journal.dropped == 1
    assert "request-2" in caplog.text


def test_an_assignment_survives_its_file():
    assert Assignment.read(json.loads(json.dumps(ASSIGNMENT.document()))) == ASSIGNMENT
    assert ASSIGNMENT.digests == ("a" * 64, "b" * 64, "c" * 64)
    with pytest.raises((KeyError, TypeError)):
        Assignment.read({"endpoint": "digits"})
