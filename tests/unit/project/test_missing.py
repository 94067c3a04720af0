"""Values that may be missing: let pass where the project says so, refused elsewhere."""

import numpy as np
import pytest

from onnxyard.errors import UserCodeError
from onnxyard.project.checks import check_splits
from onnxyard.project.data import Split, Splits
from onnxyard.project.fingerprint import fingerprint

GAPS = np.array([1.0, np.nan], np.float32)


def splits(**inputs):
    return Splits(train=Split(inputs, np.zeros(2)))


def test_a_gap_is_let_pass_where_it_is_declared():
    check_splits(splits(x=GAPS), ["x"])
    assert fingerprint(splits(x=GAPS), ["x"]) == fingerprint(splits(x=GAPS), ["x"])


@pytest.mark.parametrize(
    ("inputs", "missing", "told"),
    [
        ({"x": GAPS}, [], r"'x' of the train split holds NaN or infinity in 1 of 2 rows, first in row 1"),
        ({"x": GAPS, "y": GAPS}, ["x"], "'y' of the train split holds NaN"),
        ({"x": np.array([1.0, np.inf])}, ["x"], "holds infinity in 1 of 2"),
        ({"x": GAPS}, ["x", "z"], "no input 'z' that could be missing"),
        ({"x": np.arange(2)}, ["x"], "INT64, which has no NaN"),
    ],
)
def test_anything_else_is_told(inputs, missing, told):
    with pytest.raises(UserCodeError, match=told):
        check_splits(splits(**inputs), missing)
    if "NaN or" in told:
        with pytest.raises(UserCodeError, match="NaN"):
            fingerprint(splits(**inputs), missing)
