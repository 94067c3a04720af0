"""The distance between two tensors: what rounding is, what is not, and what cannot be compared."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.diagnosis.blame.distance import Distance, rounding


def distance(reference, actual):
    measured = Distance()
    measured.add(np.asarray(reference), None if actual is None else np.asarray(actual))
    return measured


def test_an_error_is_relative_to_the_largest_value():
    measured = distance(np.float32([100, 1]), np.float32([100, 2]))
    assert measured.relative == pytest.approx(0.01)
    assert measured.rms == pytest.approx(1 / math.hypot(100, 1))


@pytest.mark.parametrize(
    ("reference", "actual"),
    [
        ([1.0, math.nan], [1.0, 2.0]),
        ([1.0, math.inf], [1.0, -math.inf]),
        ([1.0, 2.0], [[1.0, 2.0]]),
        ([1.0, 2.0], None),
        (["a", "b"], ["a", "c"]),
        ([0.0, 0.0], [0.0, 1e-3]),
    ],
)
def test_what_cannot_be_compared_is_infinitely_far(reference, actual):
    assert distance(reference, actual).relative == math.inf
    assert distance(reference, actual).rms == math.inf


@pytest.mark.parametrize(
    "masked",
    [(-math.inf, np.finfo(np.float32).min), (math.nan, math.nan), (math.inf, 3e38)],
)
def test_masks_that_mean_the_same_are_the_same(masked):
    """And they do not hide what else differs behind their size."""
    one, other = masked
    measured = distance(np.float64([one, 2.0, 4.0]), np.float64([other, 2.0, 4.4]))
    assert measured.relative == pytest.approx(0.1)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=20), st.integers(1, 19))
def test_batches_add_up(pairs, cut):
    reference, actual = np.array(pairs).T
    whole, parts = distance(reference, actual), Distance()
    for rows in (slice(None, cut), slice(cut, None)):
        parts.add(reference[rows], actual[rows])
    assert parts.relative == whole.relative
    assert parts.rms == pytest.approx(whole.rms)


def test_exact_types_allow_no_rounding():
    assert [rounding(np.dtype(name)) for name in ("int64", "bool", "object")] == [0, 0, 0]
    assert rounding(np.dtype("float64")) < rounding(np.dtype("float32")) < rounding(np.dtype("float16"))
    assert distance([1, 2], [1, 2]).relative == 0
    assert distance([1, 2], [1, 3]).relative > 0
