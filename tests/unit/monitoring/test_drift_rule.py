"""The drift rule: what it must say of edge cases, how often it cries wolf, and what it must not miss."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnxyard.lifecycle.drift import MINIMUM_ROWS, DriftVerdict
from onnxyard_monitoring.drift import MINIMUM_REFERENCE_ROWS, compare

FLOATS = st.floats(allow_nan=True, allow_infinity=True, width=64)
COLUMN = st.one_of(
    hnp.arrays(np.float64, st.integers(1, 40), elements=FLOATS),
    hnp.arrays(np.dtype("U3"), st.integers(1, 40)),
)


def normal(seed: int, rows: int, columns: int = 1, shift: float = 0.0) -> dict[str, np.ndarray]:
    """`columns` standard normal columns; the first is moved by `shift` standard deviations."""
    values = np.random.default_rng(seed).normal(size=(columns, rows))
    values[0] += shift
    return {f"x{index}": column for index, column in enumerate(values)}


def labels(**counts: int) -> np.ndarray:
    return np.repeat(list(counts), list(counts.values()))


@settings(deadline=None, max_examples=60)
@given(before=COLUMN, now=COLUMN)
def test_any_two_columns_give_numbers_that_json_can_hold(before, now):
    comparison = compare({"x": before}, {"x": now})
    assert comparison.verdict is DriftVerdict.UNDECIDED
    for column in comparison.columns:
        json.dumps(asdict(column), allow_nan=False)
        assert 0.0 <= column.p_value <= column.q_value <= 1.0
        assert column.effect >= 0.0
        assert not column.drifted


@settings(deadline=None, max_examples=40)
@given(values=COLUMN)
def test_a_column_never_differs_from_itself(values):
    repeated = np.tile(values, MINIMUM_ROWS)
    comparison = compare({"x": repeated}, {"x": repeated})
    assert all(column.effect == 0.0 and not column.drifted for column in comparison.columns)
    assert comparison.verdict is not DriftVerdict.DRIFT


@settings(deadline=None, max_examples=25)
@given(
    scale=st.floats(1e-12, 1e12),
    offset=st.floats(-1e3, 1e3),
    seed=st.integers(0, 2**16),
)
def test_units_of_measurement_do_not_change_the_verdict(scale, offset, seed):
    before, now = normal(seed, 400)["x0"], normal(seed + 1, 600, shift=1.0)["x0"]
    plain = compare({"x": before}, {"x": now}).columns[0]
    other = compare({"x": (before + offset) * scale}, {"x": (now + offset) * scale}).columns[0]
    assert other.effect == pytest.approx(plain.effect, rel=1e-3)
    assert other.drifted == plain.drifted


@pytest.mark.parametrize("reference_rows", [100, 360, 5_000])
def test_identical_traffic_rarely_alarms(reference_rows):
    alarms = sum(
        compare(normal(2 * seed, reference_rows, 20), normal(2 * seed + 1, MINIMUM_ROWS, 20)).verdict
        is DriftVerdict.DRIFT
        for seed in range(100)
    )
    assert alarms <= 10


def test_identical_categories_rarely_alarm():
    windows, alarms = 300, 0
    for seed in range(windows):
        random = np.random.default_rng(seed)
        before = {f"c{index}": random.choice(10, 360).astype(str) for index in range(5)}
        now = {f"c{index}": random.choice(10, MINIMUM_ROWS).astype(str) for index in range(5)}
        alarms += compare(before, now).verdict is DriftVerdict.DRIFT
    assert alarms / windows <= 0.1


def test_a_quarter_sigma_in_one_of_twenty_columns_is_seen():
    caught = sum(
        compare(normal(2 * seed, 1_000, 20), normal(2 * seed + 1, 1_000, 20, shift=0.25)).columns[0].drifted
        for seed in range(100)
    )
    assert caught > 80


def test_a_certain_but_trifling_difference_is_no_drift():
    comparison = compare(normal(1, 200_000), normal(2, 200_000, shift=0.03))
    column = comparison.columns[0]
    assert column.q_value < 1e-6
    assert not column.drifted
    assert comparison.verdict is DriftVerdict.NO_DRIFT


def test_no_verdict_under_the_minimum_however_plain_the_shift():
    few = compare(normal(1, 2_000), normal(2, MINIMUM_ROWS - 1, shift=5))
    enough = compare(normal(1, 2_000), normal(2, MINIMUM_ROWS, shift=5))
    assert (few.verdict, enough.verdict) == (DriftVerdict.UNDECIDED, DriftVerdict.DRIFT)
    assert "too few" in few.detail
    assert not few.columns[0].drifted


def test_a_reference_of_a_few_rows_proves_nothing():
    comparison = compare(normal(1, MINIMUM_REFERENCE_ROWS - 1), normal(2, 2_000, shift=5))
    assert comparison.verdict is DriftVerdict.UNDECIDED
    assert "reference has" in comparison.detail


def test_constant_columns():
    constant, other = np.full(600, 3.0), np.full(600, 4.0)
    assert compare({"x": constant}, {"x": constant}).verdict is DriftVerdict.NO_DRIFT
    moved = compare({"x": constant}, {"x": other})
    assert moved.verdict is DriftVerdict.DRIFT
    assert np.isfinite(moved.columns[0].effect)


def test_a_new_category_is_named():
    comparison = compare({"class": labels(cat=300, dog=300)}, {"class": labels(cat=300, dog=100, bird=200)})
    assert comparison.verdict is DriftVerdict.DRIFT
    assert "New in class: bird." in comparison.detail


def test_a_few_strange_categories_are_no_drift():
    comparison = compare({"class": labels(cat=3000, dog=3000)}, {"class": labels(cat=3000, dog=3000, bird=3)})
    assert comparison.verdict is DriftVerdict.NO_DRIFT


def test_missing_and_unknown_columns_are_said_and_the_rest_is_judged():
    before = normal(1, 1_000, 3)
    now = {"x0": normal(2, 1_000)["x0"], "extra": np.zeros(1_000)}
    comparison = compare(before, now)
    assert comparison.verdict is DriftVerdict.NO_DRIFT
    assert [column.column for column in comparison.columns] == ["x0"]
    assert "Missing from the window: x1, x2." in comparison.detail
    assert "Unknown to the reference: extra." in comparison.detail


def test_a_column_that_turned_from_numbers_to_text_is_said():
    comparison = compare({"x": np.zeros(1_000)}, {"x": np.array(["0"] * 1_000)})
    assert comparison.verdict is DriftVerdict.UNDECIDED
    assert "Numbers on one side and text on the other: x." in comparison.detail


def test_a_sensor_that_stops_answering_is_drift():
    values = normal(1, 1_000)["x0"]
    silent = np.where(np.arange(1_000) % 3 == 0, np.nan, values)
    comparison = compare({"x": values}, {"x": silent})
    assert comparison.verdict is DriftVerdict.DRIFT
    assert [column.column for column in comparison.columns if column.drifted] == ["x (missing)"]


def test_the_worst_column_comes_first_and_is_named():
    before, now = normal(1, 1_000, 5), normal(2, 1_000, 5)
    now["x3"] = now["x3"] + 2
    comparison = compare(before, now)
    assert comparison.columns[0].column == "x3"
    assert comparison.detail.startswith("1 of 5 columns differs from the reference: x3 by 2.0")
