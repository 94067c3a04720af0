from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxyard.parity.bootstrap import failure_floor, resample


def mean_of(values):
    return lambda rows: {"accuracy": float(values[rows].mean())}


@given(st.integers(1, 400), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
@settings(max_examples=25, deadline=None)
def test_no_observed_error_proves_no_more_than_clopper_and_pearson(rows, confidence):
    estimate = resample(mean_of(np.ones(rows)), rows=rows, resamples=50).estimate("accuracy", confidence=confidence)
    assert estimate.observed == 1.0
    assert estimate.high == 1.0
    assert estimate.low == pytest.approx((1 - confidence) ** (1 / rows))


def test_the_floor_is_the_rule_of_three():
    for rows in (50, 500, 5000):
        assert failure_floor(rows, 0.95) == pytest.approx(3 / rows, rel=0.04)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_bounds_enclose_what_was_observed_and_stay_in_range(hits, seed):
    values = np.array(hits, dtype=float)
    estimate = resample(mean_of(values), rows=len(values), resamples=50, seed=seed).estimate(
        "accuracy", confidence=0.95
    )
    assert 0.0 <= estimate.low <= estimate.observed <= estimate.high <= 1.0


@pytest.mark.parametrize("truth", [0.9, 0.97, 0.99])
def test_a_bound_holds_as_often_as_it_says(truth):
    rows, held = 200, 0
    random = np.random.default_rng(0)
    for _ in range(200):
        values = (random.random(rows) < truth).astype(float)
        estimate = resample(mean_of(values), rows=rows, resamples=200).estimate("accuracy", confidence=0.95)
        held += estimate.low <= truth
    # 95 % asked for; three standard deviations of a binomial with 200 draws are 4.6 %.
    assert held / 200 >= 0.904


def test_more_rows_prove_more():
    values = np.tile([1.0] * 19 + [0.0], 50)
    few = resample(mean_of(values[:40]), rows=40).estimate("accuracy", confidence=0.95)
    many = resample(mean_of(values), rows=1000).estimate("accuracy", confidence=0.95)
    assert few.low < many.low < 0.95


def test_a_paired_drop_is_tighter_than_two_estimates():
    random = np.random.default_rng(1)
    before = (random.random(500) < 0.8).astype(float)
    after = before.copy()
    after[np.flatnonzero(before)[:5]] = 0.0
    first, second = (resample(mean_of(values), rows=500) for values in (before, after))
    drop = first.drop_to(second, "accuracy", confidence=0.95)
    assert drop.observed == pytest.approx(0.01)
    apart = first.estimate("accuracy", confidence=0.95).high - second.estimate("accuracy", confidence=0.95).low
    assert 0.01 < drop.high < 0.025 < apart
    assert first.drop_to(first, "accuracy", confidence=0.95).high == pytest.approx(failure_floor(500, 0.95))


def test_pairs_must_have_drawn_the_same_rows():
    first = resample(mean_of(np.ones(10)), rows=10, seed=1)
    for other in (resample(mean_of(np.ones(10)), rows=10, seed=2), resample(mean_of(np.ones(9)), rows=9, seed=1)):
        with pytest.raises(ValueError, match="same rows"):
            first.drop_to(other, "accuracy", confidence=0.95)


def test_a_metric_without_a_scale_gets_no_floor():
    errors = np.full(20, -3.0)
    estimate = resample(mean_of(errors), rows=20).estimate("accuracy", confidence=0.95)
    assert (estimate.low, estimate.high) == (-3.0, -3.0)


def test_undefined_resamples_are_left_out_and_all_of_them_prove_nothing():
    values = np.array([1.0, 1.0, 0.0])

    def area(rows):
        both = len(set(values[rows])) == 2
        return {"auc": 0.75 if both else float("nan")}

    estimate = resample(area, rows=3).estimate("auc", confidence=0.95)
    assert estimate.observed == 0.75
    assert not math.isnan(estimate.low)
    nothing = resample(lambda _: {"auc": float("nan")}, rows=3).estimate("auc", confidence=0.95)
    assert math.isnan(nothing.low)
    assert math.isnan(nothing.high)


def test_the_same_seed_gives_the_same_bounds():
    values = np.random.default_rng(2).random(30)
    bounds = [resample(mean_of(values), rows=30, seed=4).estimate("accuracy", confidence=0.9) for _ in range(2)]
    assert bounds[0] == bounds[1]


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        resample(mean_of(np.ones(1)), rows=0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        resample(mean_of(np.ones(2)), rows=2).estimate("accuracy", confidence=1.0)
