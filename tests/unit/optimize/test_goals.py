"""The choice: goals first, then the smallest cost, and of what ties the simplest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.errors import GateFailedError
from onnxyard.lifecycle.artifact import Artifact, ArtifactFile
from onnxyard.lifecycle.candidate import Candidate, Latency, Outcome, Ratio
from onnxyard.lifecycle.setup import Setup
from onnxyard.measuring.bench import Block
from onnxyard.measuring.intervals import ratio
from onnxyard.stages.optimize.goals import Goals, choose, pareto

GOALS = Goals("p50", "accuracy", 0.01, 0.95, None, None, None)
WEIGHTS = {1: 1.0}


def candidate(name: str, p50: float, *, drop=0.0, size=100, memory=1000, quality=0.9, p99=None) -> Candidate:
    ratio = Ratio(p50 / 10, p50 / 10 * 0.98, p50 / 10 * 1.02)
    made = Candidate(
        name,
        name,
        "cpu",
        Setup("onnxruntime", "CPUExecutionProvider", 1),
        Outcome.MEASURED,
        artifact=Artifact((ArtifactFile("model.onnx", "0" * 64, size),)),
        quality=quality,
        drop_high=drop,
        latencies=(Latency(1, p50, p50 * 0.9, p50 * 1.1, p99 or p50 * 2, p50, 100, ratio),),
        ratio=ratio,
        memory_bytes=memory,
    )
    return replace(made, cost=GOALS.cost(made, WEIGHTS))


def against(*candidates, width=0.02):
    cost = {each.name: each.cost for each in candidates}

    def compared(one, other):
        value = cost[one] / cost[other]
        return Ratio(value, value * (1 - width), value * (1 + width))

    return compared


def chosen(*candidates, goals=GOALS, width=0.02):
    complexity = {each.name: (at,) for at, each in enumerate(candidates)}
    priced = [replace(each, cost=goals.cost(each, WEIGHTS)) for each in candidates]
    return choose(priced, goals, baseline="fp32", complexity=complexity, against=against(*priced, width=width))


def test_the_fastest_that_keeps_the_goals():
    choice = chosen(candidate("fp32", 10), candidate("int8", 4, drop=0.005), candidate("int4", 2, drop=0.2))
    assert choice.candidate.name == "int8"
    assert choice.tied == ()
    assert choice.reason == (
        "int8 has 0.4 [0.392, 0.408] times fp32's median latency, and accuracy drops by at most 0.005 (95% confidence)"
    )


def test_a_tie_goes_to_the_simpler_one():
    choice = chosen(candidate("fp32", 10), candidate("slim", 5), candidate("int8", 4.95))
    assert choice.candidate.name == "slim"
    assert choice.tied == ("int8",)
    assert "int8 cannot be told apart from it and is less simple" in choice.reason


def test_a_tie_with_the_baseline_keeps_it():
    choice = chosen(candidate("fp32", 10), candidate("slim", 9.9), candidate("int8", 9.95))
    assert choice.candidate.name == "fp32"
    assert choice.reason.startswith("fp32 stays: ")


def test_nothing_better_is_an_allowed_outcome():
    choice = chosen(candidate("fp32", 10), candidate("int8", 30))
    assert choice.candidate.name == "fp32"
    assert choice.reason == "fp32 stays: nothing that keeps the goals has a smaller median latency"


@pytest.mark.parametrize(
    ("minimize", "wanted"),
    [("p50", "fast"), ("p99", "steady"), ("throughput", "fast"), ("size", "small"), ("memory", "lean")],
)
def test_each_goal_has_its_own_winner(minimize, wanted):
    entries = [
        candidate("fp32", 10, p99=20, size=100, memory=1000),
        candidate("fast", 2, p99=50, size=100, memory=1000),
        candidate("steady", 5, p99=6, size=100, memory=1000),
        candidate("small", 9, p99=18, size=10, memory=1000),
        candidate("lean", 9, p99=18, size=100, memory=100),
    ]
    assert chosen(*entries, goals=replace(GOALS, minimize=minimize)).candidate.name == wanted


def test_what_was_not_timed_against_the_best_does_not_tie():
    entries = [candidate("fp32", 10), candidate("slim", 5.01), candidate("int8", 5)]
    choice = choose(
        entries, GOALS, baseline="fp32", complexity={"fp32": (0,), "slim": (1,), "int8": (2,)}, against=lambda *_: None
    )
    assert choice.candidate.name == "int8"


def test_goals_that_nobody_meets_name_the_one_that_binds():
    goals = replace(GOALS, latency_ms=5.0)
    entries = [candidate("fp32", 10, p99=12), candidate("slim", 8, p99=9), candidate("int8", 2, p99=3, drop=0.4)]
    with pytest.raises(GateFailedError) as caught:
        chosen(*entries, goals=goals)
    error = caught.value
    assert error.facts["binding"] == "latency_ms"
    assert "3 measured candidates" in error.detail
    assert error.facts["problems"][0].startswith("slim: latency_ms: 9 instead of 5 ms")
    assert any("int8: max_drop: 0.4 instead of 0.01 accuracy" in each for each in error.facts["problems"])


def test_memory_and_disk_are_told_in_mebibytes():
    goals = replace(GOALS, memory_bytes=512.0, disk_bytes=float(1 << 20))
    missed = goals.shortfalls(candidate("fp32", 10, size=3 << 20, memory=1 << 20))
    assert [str(each) for each in missed] == ["memory_mb: 1 instead of 0.0004883 MiB", "disk_mb: 3 instead of 1 MiB"]


def test_weights_make_the_cost_of_several_batch_sizes():
    one = candidate("fp32", 10)
    both = replace(one, latencies=(*one.latencies, replace(one.latencies[0], batch_size=8, p50_ms=40.0)))
    assert GOALS.cost(both, {1: 3.0, 8: 1.0}) == pytest.approx((3 * 10 + 40) / 4)
    assert replace(GOALS, minimize="throughput").cost(both, {1: 3.0, 8: 1.0}) == 5.0


def test_throughput_is_compared_at_the_largest_batch_size_alone():
    goals = replace(GOALS, minimize="throughput")
    assert goals.weights({1: 3.0, 8: 1.0}) == {1: 0.0, 8: 1.0}
    assert GOALS.weights({1: 3.0, 8: 1.0}) == {1: 3.0, 8: 1.0}
    ours = {1: [Block(np.full(5, 9.0), 9.0)] * 4, 8: [Block(np.full(5, 4.0), 4.0)] * 4}
    theirs = {1: [Block(np.full(5, 1.0), 1.0)] * 4, 8: [Block(np.full(5, 8.0), 8.0)] * 4}
    assert ratio(ours, theirs, goals.weights({1: 3.0, 8: 1.0})).value == 0.5


@given(
    st.lists(
        st.tuples(st.floats(0.1, 100), st.floats(0, 1), st.integers(1, 100), st.integers(1, 100)),
        min_size=1,
        max_size=12,
    )
)
def test_the_front_holds_whoever_is_best_at_something_and_nobody_who_is_beaten(figures):
    entries = [
        candidate(str(at), p50, quality=quality, size=size, memory=memory)
        for at, (p50, quality, size, memory) in enumerate(figures)
    ]
    front = pareto(entries)
    assert front
    kept = [each for each in entries if each.name in front]
    for key in (lambda c: c.ratio.value, lambda c: -c.quality, lambda c: c.size_bytes, lambda c: c.memory_bytes):
        assert min(map(key, kept)) == min(map(key, entries))
    for each in entries:
        better = [
            o
            for o in entries
            if (o.ratio.value, -o.quality, o.size_bytes, o.memory_bytes)
            != (each.ratio.value, -each.quality, each.size_bytes, each.memory_bytes)
            and o.ratio.value <= each.ratio.value
            and o.quality >= each.quality
            and o.size_bytes <= each.size_bytes
            and o.memory_bytes <= each.memory_bytes
        ]
        assert (each.name in front) is not bool(better)
