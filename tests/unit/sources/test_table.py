import numpy as np
import pytest

from onnxyard.errors import InvalidRequestError, UserCodeError
from onnxyard.sources.table import Table

INPUTS = {
    "age": np.array([30, 41, 52]),
    "town": np.array(["Ulm", "", "Bern"], dtype=object),
    "blood": np.array([[1.5, np.nan], [2.5, 3.5], [4.5, 5.5]], dtype=np.float32),
}


def test_an_input_is_a_column_and_a_wide_one_is_several():
    assert Table.of(INPUTS, {"blood": ["sugar", "fat"]}).names == ("age", "town", "sugar", "fat")
    assert Table.of(INPUTS, {}).names == ("age", "town", "blood.0", "blood.1")
    assert Table.of({"x": np.zeros((2, 1))}, {}).names == ("x",)


def test_the_frame_that_a_model_was_fitted_on_is_made_again():
    table = Table.of(INPUTS, {"blood": ["sugar", "fat"]}).ordered(["fat", "age", "sugar", "town"])
    frame = table.frame(INPUTS)
    assert list(frame.columns) == ["fat", "age", "sugar", "town"]
    assert frame["age"].dtype == np.int64
    assert frame["fat"].dtype == np.float32
    assert frame["town"].tolist() == ["Ulm", "", "Bern"]
    assert np.isnan(frame["fat"][0])


def test_numbers_get_the_type_that_holds_them_all():
    numbers = {name: INPUTS[name] for name in ("age", "blood")}
    table = Table.of(numbers, {})
    assert table.dtype == np.float64
    np.testing.assert_array_equal(table.matrix(numbers), [[30, 1.5, np.nan], [41, 2.5, 3.5], [52, 4.5, 5.5]])
    assert Table.of(INPUTS, {}).dtype == object


@pytest.mark.parametrize(
    ("inputs", "names", "fitted", "error", "told"),
    [
        ({"x": np.zeros((2, 3, 4))}, {}, None, InvalidRequestError, r"\[2, 3, 4\].*\[rows, columns\]"),
        ({"x": np.zeros((2, 3))}, {"x": ["a", "b"]}, None, InvalidRequestError, "2 names to 'x', which has 3"),
        ({"x": np.zeros(2), "y": np.zeros(2)}, {"x": ["y"]}, None, UserCodeError, "Two columns are called 'y'"),
        ({"x": np.zeros(2)}, {}, ["x", "z"], UserCodeError, "the inputs have no column 'z'"),
        ({"x": np.zeros(2), "y": np.zeros(2)}, {}, ["x"], UserCodeError, "it knows no column 'y'"),
    ],
)
def test_what_is_no_table_is_told(inputs, names, fitted, error, told):
    with pytest.raises(error, match=told):
        Table.of(inputs, names).ordered(fitted)
