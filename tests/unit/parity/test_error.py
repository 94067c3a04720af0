from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnxyard.parity.batches import compare_at_two_batch_sizes
from onnxyard.parity.error import NOT_COMPARABLE, compare

shapes = hnp.array_shapes(max_dims=3, max_side=5)
finite = hnp.arrays(np.float32, shapes, elements=st.floats(-1e6, 1e6, width=32))
anything = hnp.arrays(np.float32, shapes, elements=st.floats(width=32))


@given(anything)
def test_equal_arrays_have_no_error_whatever_they_hold(values):
    report = compare({"y": values}, {"y": values.copy()})
    assert (report.max_abs, report.mean_abs, report.max_rel, report.snr_db) == (0.0, 0.0, 0.0, math.inf)
    assert report.where == ""


@given(finite, st.floats(1e-3, 1e3))
def test_the_largest_difference_is_found(values, shift):
    moved = values.astype(np.float64)
    moved.flat[-1] += shift
    report = compare({"y": values}, {"y": moved})
    assert report.max_abs == pytest.approx(shift, rel=1e-6)
    assert report.mean_abs == pytest.approx(shift / values.size, rel=1e-6)
    assert report.where == "y"


@given(anything, anything)
def test_no_figure_hides_a_difference(left, right):
    report = compare({"y": left}, {"y": right})
    same = left.shape == right.shape and np.array_equal(left, right, equal_nan=True)
    assert (report.max_abs == 0.0) == same
    assert not math.isnan(report.max_abs)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"y": np.zeros(3)}, {"z": np.zeros(3)}),
        ({"y": np.zeros(3)}, {}),
        ({"y": np.zeros(3)}, {"y": np.zeros(2)}),
        ({"y": np.zeros(3)}, {"y": np.array([0.0, np.nan, 0.0])}),
        ({"y": np.array([np.inf])}, {"y": np.array([-np.inf])}),
        ({"y": np.array(["a"], dtype=object)}, {"y": np.array(["b"], dtype=object)}),
    ],
)
def test_what_cannot_be_compared_is_infinitely_far(expected, actual):
    report = compare(expected, actual)
    assert math.isinf(report.max_abs)
    assert not report.max_abs <= 1e30
    assert report.where == "y" or "z" in actual


def test_known_figures():
    report = compare({"y": np.array([3.0, 4.0])}, {"y": np.array([3.0, 4.5])})
    assert report.snr_db == pytest.approx(20.0)  # 10 log10(25 / 0.25)
    assert report.max_rel == pytest.approx(0.125)
    assert compare({"y": np.zeros(2)}, {"y": np.ones(2)}).snr_db == -math.inf


def test_bfloat16_and_integers_and_strings_compare():
    brain = np.array([1.0, 2.0], dtype=ml_dtypes.bfloat16)
    assert compare({"y": np.array([1.0, 2.5])}, {"y": brain}).max_abs == 0.5
    assert compare({"y": np.array([1, 200], np.uint8)}, {"y": np.array([1, 100], np.uint8)}).max_abs == 100
    assert compare({"y": np.array(["a"])}, {"y": np.array(["a"], dtype=object)}).max_abs == 0.0


def test_empty_arrays_of_one_shape_are_equal():
    assert compare({"y": np.zeros((0, 3))}, {"y": np.zeros((0, 3))}).max_abs == 0.0
    assert compare({}, {}).mean_abs == 0.0


def test_a_batch_length_baked_in_shows_at_one_of_two_batch_sizes():
    inputs, expected = {"x": np.arange(6.0).reshape(3, 2)}, {"y": np.arange(6.0).reshape(3, 2) * 2}

    def right(given):
        return {"y": given["x"] * 2}

    def drops_the_last_row(given):
        return {"y": (given["x"] * 2)[:-1]}

    def pads_to_three(given):
        return {"y": np.resize(given["x"] * 2, (3, 2))}

    def mixes_rows(given):
        return {"y": given["x"] * 2 + (given["x"].mean() - inputs["x"].mean())}

    assert [r.max_abs for r in compare_at_two_batch_sizes(right, inputs, expected)] == [0.0, 0.0]
    whole, single = compare_at_two_batch_sizes(drops_the_last_row, inputs, expected)
    assert math.isinf(whole.max_abs)
    assert math.isinf(single.max_abs)
    whole, single = compare_at_two_batch_sizes(pads_to_three, inputs, expected)
    assert whole.max_abs == 0.0
    assert math.isinf(single.max_abs)
    whole, single = compare_at_two_batch_sizes(mixes_rows, inputs, expected)
    assert whole.max_abs == 0.0
    assert single.max_abs > 1.0


def test_the_stand_in_for_no_comparison_passes_no_threshold():
    assert not NOT_COMPARABLE.max_abs <= 1e300
