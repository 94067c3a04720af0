"""Declared axes: every wrong use is told, and other lengths change the named axes only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.errors import InvalidRequestError
from onnxyard.sources.axes import batch_axis, check_axes, dynamic_axes, other_lengths
from onnxyard.sources.source import Asked

TOKENS, MASK = np.arange(12).reshape(2, 6), np.ones((2, 6))


def asked(axes, **inputs):
    return Asked(inputs or {"tokens": TOKENS, "mask": MASK}, ("scores",), 20, axes, {})


def test_without_declared_axes_the_batch_alone_is_dynamic():
    bare = asked({})
    check_axes(bare)
    assert bare.axes_of("tokens") == ("batch", 6)
    assert (batch_axis(bare), dynamic_axes(bare)) == ("batch", ())


def test_an_input_that_is_not_named_has_the_same_batch():
    some = asked({"tokens": ("rows", "length")})
    check_axes(some)
    assert some.axes_of("mask") == ("rows", 6)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"token": ("batch", 6)}, "no input 'token'"),
        ({"tokens": ("batch",)}, r"1 axes are declared for 'tokens', the data has 2: \[2, 6\]"),
        ({"tokens": ("batch", 7)}, "Axis 1 of 'tokens' is declared with length 7, the data has 6"),
        ({"tokens": (2, "length")}, "first axis of 'tokens' is declared with length 2; it is the batch"),
        ({"tokens": ("rows", 6), "mask": ("batch", 6)}, "'mask' is called 'batch', that of the other inputs 'rows'"),
        ({"tokens": ("batch", "a length")}, "'a length' is no name for an axis"),
    ],
)
def test_wrong_use_is_told(axes, said):
    with pytest.raises(InvalidRequestError, match=said) as caught:
        check_axes(asked(axes))
    assert "[project.axes]" in caught.value.where


def test_one_name_for_two_lengths_is_refused():
    axes = {"tokens": ("batch", "length"), "mask": ("batch", "length")}
    with pytest.raises(InvalidRequestError, match="'length' has length 6 in 'tokens' and 5 in 'mask'"):
        check_axes(asked(axes, tokens=TOKENS, mask=MASK[:, :5]))


@given(length=st.integers(1, 9), rows=st.integers(2, 4))
def test_other_lengths_are_other_and_keep_the_batch_and_the_values(length, rows):
    tokens = np.arange(rows * length).reshape(rows, length)
    one = asked({"tokens": ("batch", "length")}, tokens=tokens, offset=np.zeros(rows))
    found = list(other_lengths(one, "length"))
    assert found
    for other, inputs in found:
        assert inputs["tokens"].shape == (rows, other)
        assert other != length
        assert set(inputs["tokens"].ravel()) <= set(tokens.ravel())
        np.testing.assert_array_equal(inputs["offset"], np.zeros(rows))
