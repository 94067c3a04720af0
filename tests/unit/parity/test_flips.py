from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnxyard.parity.flips import count_flips

scores = hnp.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(2, 5)), elements=st.floats(-10, 10, width=32))


@given(scores)
def test_a_shift_of_all_scores_flips_nothing_and_a_reversal_may(values):
    assert count_flips({"y": values}, {"y": values * np.float32(2)}).flipped == 0
    ties = (values == values.max(axis=1, keepdims=True)).sum(axis=1) > 1
    flat = (values == values[:, :1]).all(axis=1)
    if not ties.any() and not flat.any():
        assert count_flips({"y": values}, {"y": -values}).flipped == len(values)


def test_classes_scores_labels_and_maps_are_decided_in_their_own_way():
    logits = np.array([[1.0, 2.0], [3.0, 1.0]])
    assert count_flips({"y": logits}, {"y": logits[:, ::-1]}).share == 1.0
    assert count_flips({"y": np.array([0.4, 0.6])}, {"y": np.array([0.6, 0.7])}).flipped == 1
    assert count_flips({"y": np.array([[0.4], [0.6]])}, {"y": np.array([[0.6], [0.7]])}).flipped == 1
    assert count_flips({"y": np.array([1, 2, 3])}, {"y": np.array([1, 2, 4])}).flipped == 1
    assert count_flips({"y": np.array(["a", "b"])}, {"y": np.array(["a", "c"])}).flipped == 1
    pixels = np.zeros((2, 3, 3, 2))
    other = pixels.copy()
    other[1, 2, 2, 1] = 1.0
    assert count_flips({"y": pixels}, {"y": other}).flipped == 1


def test_a_row_counts_once_over_all_outputs():
    left = {"a": np.array([1, 2]), "b": np.array([1, 2])}
    right = {"a": np.array([0, 2]), "b": np.array([0, 2])}
    report = count_flips(left, right)
    assert (report.flipped, report.rows, report.where) == (1, 2, "a")


def test_nan_flips_its_row():
    assert count_flips({"y": np.array([[1.0, 2.0]])}, {"y": np.array([[1.0, np.nan]])}).flipped == 1
    assert count_flips({"y": np.array([0.2])}, {"y": np.array([np.nan])}).flipped == 1


def test_rows_that_cannot_be_told_apart_are_refused_and_none_prove_nothing():
    with pytest.raises(ValueError, match="no common rows"):
        count_flips({"y": np.zeros((3, 2))}, {"y": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="outputs differ"):
        count_flips({"y": np.zeros(3)}, {"z": np.zeros(3)})
    assert math.isnan(count_flips({}, {}).share)
    assert math.isnan(count_flips({"y": np.zeros((0, 2))}, {"y": np.zeros((0, 2))}).share)
