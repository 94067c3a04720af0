"""Intervals: they hold as often as they say, and what cannot be told apart is called a tie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.measuring.bench import Block
from onnxyard.measuring.intervals import LEAST_SPREAD, cpu_ms, percentile, prediction, ratio


def blocks(random, rounds: int, centre: float, *, spread: float = 0.05, drift=None) -> list[Block]:
    """Blocks of 20 calls; what a round does to one model it does to the other (`drift`)."""
    drift = np.ones(rounds) if drift is None else drift
    return [Block(centre * each * random.lognormal(0, spread, 20), centre) for each in drift]


def test_a_ratio_holds_about_as_often_as_it_says():
    inside = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        drift = random.lognormal(0, 0.3, 12)  # a machine that others use: rounds differ far more than calls
        ours, theirs = blocks(random, 12, 0.8, drift=drift), blocks(random, 12, 1.0, drift=drift)
        found = ratio({1: ours}, {1: theirs}, {1: 1.0}, seed=seed)
        inside += found.low <= 0.8 <= found.high
    assert inside >= 88  # of 100 at 95 %: fewer has a probability below 0.5 %


def test_equal_models_tie_and_different_ones_do_not():
    random = np.random.default_rng(1)
    same = ratio({1: blocks(random, 12, 1.0)}, {1: blocks(random, 12, 1.0)}, {1: 1.0})
    faster = ratio({1: blocks(random, 12, 0.5)}, {1: blocks(random, 12, 1.0)}, {1: 1.0})
    assert same.tie
    assert not faster.tie
    assert faster.high < 0.6


def test_what_slows_a_whole_round_down_cancels():
    random = np.random.default_rng(2)
    drift = np.array([1.0, 1.0, 1.0, 9.0, 9.0, 9.0])
    found = ratio(
        {1: blocks(random, 6, 0.5, spread=0.01, drift=drift)},
        {1: blocks(random, 6, 1.0, spread=0.01, drift=drift)},
        {1: 1.0},
    )
    assert found.low == pytest.approx(0.5, rel=0.05)
    assert found.high == pytest.approx(0.5, rel=0.05)


def test_what_differs_from_start_to_start_is_in_the_interval():
    random = np.random.default_rng(3)
    starts = (0.9, 1.1, 1.0)  # where memory fell in each launch; rounds within one agree closely
    ours = [
        Block(start * random.lognormal(0, 0.01, 20), 1.0, launch)
        for launch, start in enumerate(starts)
        for _ in range(6)
    ]
    theirs = [Block(random.lognormal(0, 0.01, 20), 1.0, launch) for launch in range(3) for _ in range(6)]
    honest = ratio({1: ours}, {1: theirs}, {1: 1.0})
    one = [Block(block.ms, block.cpu_ms) for block in ours]
    naive = ratio({1: one}, {1: [Block(block.ms, block.cpu_ms) for block in theirs]}, {1: 1.0})
    assert honest.high - honest.low > 1.1 * (naive.high - naive.low)


def test_batch_sizes_count_by_their_weights():
    def constant(value: float) -> list[Block]:
        return [Block(np.full(5, value), value) for _ in range(4)]

    ours, theirs = {1: constant(1.0), 8: constant(4.0)}, {1: constant(1.0), 8: constant(8.0)}
    assert ratio(ours, theirs, {1: 1.0, 8: 1.0}).value == pytest.approx(5 / 9)
    assert ratio(ours, theirs, {1: 3.0, 8: 1.0}).value == pytest.approx(7 / 11)
    assert ratio(ours, theirs, {1: 1.0, 8: 1.0}, per_row=True).value == pytest.approx(1.5 / 2)


def test_rounds_that_do_not_match_are_refused():
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match="same rounds"):
        ratio({1: blocks(random, 3, 1.0)}, {1: blocks(random, 4, 1.0)}, {1: 1.0})


def test_a_prediction_holds_for_the_next_process():
    inside = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        starts = random.lognormal(np.log(2.0), 0.1, 5)
        low, high = prediction(starts[:4])
        inside += low <= starts[4] <= high
    assert inside >= 274  # of 300 at 95 %: fewer has a probability below 0.5 %


@given(st.lists(st.floats(0.001, 1e4), min_size=1, max_size=20))
def test_a_prediction_is_never_narrower_than_two_starts_can_know(medians):
    low, high = prediction(medians)
    assert 0 < low < high
    centre = np.exp(np.mean(np.log(medians)))
    assert low < centre < high
    assert np.log(high / low) >= 2 * LEAST_SPREAD


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_a_ratio_turns_around(one, other):
    ours, theirs = ([Block(np.array([value]), value)] * 3 for value in (one, other))
    assert ratio({1: ours}, {1: theirs}, {1: 1.0}).value == pytest.approx(
        1 / ratio({1: theirs}, {1: ours}, {1: 1.0}).value
    )


def test_percentiles_are_over_all_calls():
    given_blocks = [Block(np.array([1.0, 2.0]), 1.0), Block(np.array([3.0, 100.0]), 3.0), Block(np.array([2.0]), 2.0)]
    assert percentile(given_blocks, 50) == 2.0
    assert percentile(given_blocks, 100) == 100.0
    assert cpu_ms(given_blocks) == 2.0
