"""Pairing by value: whatever the names, the axes' order and the shape, the same values find each other."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from graphs import FLOAT, tensor, write
from onnxyard.diagnosis.blame.by_value import by_value
from onnxyard.diagnosis.blame.probe import probing

STEPS = ("Tanh", "Relu", "Abs", "Sigmoid", "Softplus")


def chain(path, operators):
    """`operators` one after the other, x to y, [2, 3, 4, 5] each."""
    names = ["x", *(f"t{at}" for at in range(len(operators) - 1)), "y"]
    nodes = [helper.make_node(op, [names[at]], [names[at + 1]]) for at, op in enumerate(operators)]
    ends = [tensor("x", FLOAT, [2, 3, 4, 5])], [tensor("y", FLOAT, [2, 3, 4, 5])]
    return write(path, nodes, *ends)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(STEPS), min_size=2, max_size=6),
    st.permutations(range(4)),
    st.integers(0, 2**32 - 1),
)
def test_the_same_values_find_each_other(tmp_path_factory, operators, axes, seed):
    x = np.random.default_rng(seed).normal(size=(2, 3, 4, 5)).astype(np.float32)
    with probing(chain(tmp_path_factory.mktemp("chain") / "chain.onnx", operators)) as probe:
        values = probe.run({"x": x}, probe.tensors)
        moved = {f"p{at}": value.transpose(axes) for at, value in enumerate(values.values())}
        pairs = by_value(moved, probe, {"x": x})
    assert {pair.certainty for pair in pairs} == {1.0}
    for pair in pairs:
        np.testing.assert_array_equal(pair.moved(moved[pair.place], values[pair.tensor]), values[pair.tensor])
    # Operators that change nothing (Abs of what is positive) leave several right answers; none is missed.
    assert [(pair.place, pair.tensor) for pair in pairs] == [(f"p{at}", name) for at, name in enumerate(values)]


def test_another_shape_of_the_same_values_is_the_same(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    with probing(chain(tmp_path / "chain.onnx", ["Tanh", "Sigmoid"])) as probe:
        values = probe.run({"x": x}, probe.tensors)
        (pair,) = by_value({"flat": values["t0"].reshape(2, 60)}, probe, {"x": x})
    assert (pair.tensor, pair.reshaped) == ("t0", True)
    np.testing.assert_array_equal(pair.moved(values["t0"].reshape(2, 60), values["t0"]), values["t0"])


def test_what_is_like_no_tensor_is_paired_with_none(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    other = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype(np.float32)
    with probing(chain(tmp_path / "chain.onnx", ["Tanh", "Neg"])) as probe:
        assert by_value({"other": other, "constant": np.ones_like(x)}, probe, {"x": x}) == []
