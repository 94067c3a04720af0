"""The quick check of inputs says what the full one says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.errors import InvalidRequestError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.runtimes.inputs import InputCheck, check_inputs

if TYPE_CHECKING:
    from collections.abc import Callable

AXES = st.sampled_from(["batch", "length", 1, 2, 3])
SPECS = st.tuples(st.sampled_from(["FLOAT", "INT64", "STRING", "BOOL"]), st.lists(AXES, max_size=3))
ARRAYS = st.tuples(
    st.sampled_from([np.float32, np.float64, np.int64, np.bool_, object, ">f4", "U3"]),
    st.lists(st.integers(1, 3), max_size=3),
)


@given(st.dictionaries(st.sampled_from("abc"), SPECS), st.dictionaries(st.sampled_from("abcd"), ARRAYS))
def test_it_lets_through_what_the_full_check_lets_through(specs, arrays):
    signature = Signature(tuple(TensorSpec(name, dtype, tuple(axes)) for name, (dtype, axes) in specs.items()), ())
    inputs = {name: np.zeros(shape, dtype) for name, (dtype, shape) in arrays.items()}

    def said(check: Callable[[dict[str, np.ndarray]], object]) -> str:
        try:
            check(inputs)
        except InvalidRequestError as error:
            return f"{error.detail} {error.remedy}"
        return ""

    assert said(InputCheck(signature)) == said(lambda given: check_inputs(signature, given))


def test_axes_of_one_name_have_one_length():
    signature = Signature((TensorSpec("a", "FLOAT", ("n", 2)), TensorSpec("b", "FLOAT", ("n",))), ())
    InputCheck(signature)({"a": np.zeros((3, 2), np.float32), "b": np.zeros(3, np.float32)})
    with pytest.raises(InvalidRequestError, match="'n' has length 3"):
        InputCheck(signature)({"a": np.zeros((3, 2), np.float32), "b": np.zeros(4, np.float32)})


def test_only_what_does_not_lie_row_by_row_is_copied():
    signature = Signature((TensorSpec("whole", "DOUBLE", (2, 3)), TensorSpec("turned", "DOUBLE", (3, 2))), ())
    whole = np.arange(6.0).reshape(2, 3)
    made = InputCheck(signature)({"whole": whole, "turned": whole.T})
    assert made["whole"] is whole
    assert made["turned"].flags.c_contiguous
    np.testing.assert_array_equal(made["turned"], whole.T)
