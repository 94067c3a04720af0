"""One measurement at a time; whoever waits for another's does not spend its own budget."""

from __future__ import annotations

import threading

import pytest

from onnxyard.measuring import exclusive
from onnxyard.measuring.exclusive import measuring_alone, working_beside, working_seconds


@pytest.fixture(autouse=True)
def own_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(exclusive.tempfile, "tempdir", str(tmp_path))


def entered(other) -> tuple[threading.Thread, threading.Event, threading.Event]:
    """A thread that asks for `other`, an event that is set once it has it, and one that lets it go."""
    inside, leave = threading.Event(), threading.Event()

    def ask():
        with other():
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, inside, leave


@pytest.mark.parametrize("other", [measuring_alone, working_beside])
def test_a_measurement_keeps_everybody_waiting(other):
    with measuring_alone():
        thread, inside, leave = entered(other)
        assert not inside.wait(0.2)
    assert inside.wait(30)
    leave.set()
    thread.join()


def test_work_waits_for_no_work():
    with working_beside():
        thread, inside, leave = entered(working_beside)
        assert inside.wait(30)
        leave.set()
        thread.join()


def test_a_lock_goes_with_whoever_failed():
    with pytest.raises(KeyError), measuring_alone():
        raise KeyError
    with measuring_alone():
        pass


def test_waiting_for_others_takes_nothing_from_a_budget(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(exclusive.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(exclusive, "_WAITING", exclusive._Waiting())
    began = working_seconds()
    now[0] += 5
    with exclusive._WAITING.counted(), exclusive._WAITING.counted():  # two threads that wait together count once
        now[0] += 60
        assert working_seconds() - began == 5
    now[0] += 1
    assert working_seconds() - began == 6
