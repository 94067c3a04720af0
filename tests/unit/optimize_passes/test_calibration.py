"""Calibration rows that would make a useless model are refused before anything is made."""

import numpy as np
import pytest

from onnxyard.errors import InvalidRequestError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.stages.optimize.passes.calibration import check_calibration, first_rows

SIGNATURE = Signature((TensorSpec("x", "FLOAT", ("batch", 3)), TensorSpec("mask", "INT64", ("batch",))), ())


def batches(*lengths, **changed):
    random = np.random.default_rng(0)
    for rows in lengths:
        given = {"x": random.normal(size=(rows, 3)).astype(np.float32), "mask": np.ones(rows, np.int64)}
        yield {name: values for name, values in {**given, **changed}.items() if values is not None}


def test_rows_that_vary_in_one_input_are_taken():
    check_calibration(batches(4, 2), SIGNATURE)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"mask": None}, "'mask' is missing"),
        ({"y": np.zeros(4)}, "no input 'y'"),
        ({"x": np.zeros((4, 3))}, "'x' is DOUBLE; the model takes FLOAT"),
        ({"x": np.zeros((4, 5), np.float32)}, "the model takes [batch, 3]"),
        ({"x": np.array([[1, 2, 3], [4, np.inf, 5]] * 2, np.float32)}, "'x' holds inf in row 1 of batch 0"),
        ({"x": np.array([[1, 2, 3], [4, 5, np.nan]] * 2, np.float32)}, "'x' holds nan in row 1 of batch 0"),
        ({"x": np.ones((4, 3), np.float32)}, "constant: all its 4 rows are the same"),
    ],
)
def test_rows_that_do_not_do_are_refused_with_what_where_and_what_to_do(changed, told):
    with pytest.raises(InvalidRequestError) as refused:
        check_calibration(batches(4, **changed), SIGNATURE)
    assert told in refused.value.detail
    assert "the calibration split" in refused.value.where
    assert refused.value.remedy


def test_rows_that_repeat_over_batches_are_constant_too():
    same = {"x": np.array([[1.0, 2.0, 3.0]], np.float32), "mask": np.array([7])}
    with pytest.raises(InvalidRequestError, match="all its 3 rows are the same"):
        check_calibration([same, same, same], SIGNATURE)


def test_no_rows_and_one_row_are_too_few():
    with pytest.raises(InvalidRequestError, match="no calibration rows"):
        check_calibration([], SIGNATURE)
    with pytest.raises(InvalidRequestError, match="a single calibration row"):
        check_calibration(batches(1), SIGNATURE)


def test_missing_values_are_values_where_the_signature_says_so():
    signature = Signature((TensorSpec("x", "FLOAT", ("batch", 2), missing=True),), ())
    check_calibration([{"x": np.array([[1, np.nan], [2, 3]], np.float32)}], signature)
    with pytest.raises(InvalidRequestError, match="holds inf"):
        check_calibration([{"x": np.array([[1, np.inf], [2, 3]], np.float32)}], signature)
    with pytest.raises(InvalidRequestError, match="constant"):
        check_calibration([{"x": np.array([[1, np.nan], [1, np.nan]], np.float32)}], signature)


@pytest.mark.parametrize(
    ("rows", "cut", "lengths"),
    [(3, True, [3]), (4, True, [4]), (5, True, [4, 1]), (5, False, [4, 4]), (99, True, [4, 4, 2])],
)
def test_first_rows_are_cut_only_where_the_model_takes_any_batch(rows, cut, lengths):
    assert [len(batch["x"]) for batch in first_rows(batches(4, 4, 2), rows, cut=cut)] == lengths
