from __future__ import annotations

import gc
from collections import Counter

import numpy as np
import pytest

from onnxyard.stages import latency
from onnxyard.stages.latency import WARM_UP, measure


class Clock:
    """Time that passes only when a model runs."""

    def __init__(self):
        self.now = 0

    def perf_counter_ns(self):
        return self.now


class Model:
    def __init__(self, name, clock, calls, milliseconds):
        self.name, self.clock, self.calls, self.milliseconds = name, clock, calls, milliseconds

    def run(self, _inputs):
        assert not gc.isenabled()
        self.calls.append(self.name)
        self.clock.now += int(self.milliseconds(self.calls.count(self.name)) * 1e6)
        return {}


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(latency, "time", clock)
    return clock


def test_rounds_are_interleaved_in_a_new_order_each(clock):
    calls = []
    models = {name: Model(name, clock, calls, lambda _: 1.0) for name in "abc"}
    measured = measure(models, {}, repeats=40, seed=0)
    timed = calls[3 * WARM_UP :]
    rounds = [tuple(timed[start : start + 3]) for start in range(0, len(timed), 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) == 6
    assert Counter(timed) == dict.fromkeys("abc", 40)
    assert measured["a"].calls == 40


def test_warm_up_does_not_count_and_percentiles_are_right(clock):
    calls = []
    model = Model("a", clock, calls, lambda call: 1000.0 if call <= WARM_UP else float(call - WARM_UP))
    measured = measure({"a": model}, {}, repeats=100, seed=0)["a"]
    assert measured.p50_ms == pytest.approx(np.percentile(np.arange(1, 101), 50))
    assert measured.p99_ms == pytest.approx(np.percentile(np.arange(1, 101), 99))


def test_the_same_seed_gives_the_same_order(clock):
    orders = []
    for _ in range(2):
        calls = []
        measure({name: Model(name, clock, calls, lambda _: 1.0) for name in "ab"}, {}, repeats=10, seed=5)
        orders.append(calls)
    assert orders[0] == orders[1]


def test_the_collector_is_as_before_also_after_an_error(clock):
    def fails(_call):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        measure({"a": Model("a", clock, [], fails)}, {}, repeats=1, seed=0)
    assert gc.isenabled()
