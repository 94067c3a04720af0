"""The probe: every tensor readable, any tensor replaceable, inside the graphs of If nodes too."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from graphs import FLOAT, tensor, write
from onnxyard.diagnosis.blame import probe as probe_room
from onnxyard.diagnosis.blame.probe import NodeFailedError, attributes_of, probing

X = np.float32([[1, -2], [3, 4]])


def branching(path):
    """y = -h where x's sum is positive, else h + w; h = |x|, which the branches take from outside."""

    def branch(*nodes):
        return helper.make_graph(list(nodes), "branch", [], [tensor("b", FLOAT, None)])

    return write(
        path,
        [
            helper.make_node("Abs", ["x"], ["h"]),
            helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
            helper.make_node("Greater", ["total", "zero"], ["positive"]),
            helper.make_node(
                "If",
                ["positive"],
                ["y"],
                then_branch=branch(helper.make_node("Neg", ["h"], ["b"])),
                else_branch=branch(helper.make_node("Add", ["h", "w"], ["b"])),
            ),
        ],
        [tensor("x", FLOAT, ["batch", 2])],
        [tensor("y", FLOAT, ["batch", 2])],
        weights={"zero": np.float32(0), "w": np.float32([10, 20])},
    )


def test_inner_tensors_are_read(tmp_path):
    with probing(branching(tmp_path / "if.onnx")) as probe:
        assert probe.tensors == ("h", "total", "positive", "y")
        seen = probe.run({"x": X}, probe.tensors)
    np.testing.assert_array_equal(seen["h"], np.abs(X))
    np.testing.assert_array_equal(seen["y"], -np.abs(X))


def test_a_replaced_tensor_is_read_by_branches_too(tmp_path):
    with probing(branching(tmp_path / "if.onnx")) as probe:
        seen = probe.run({"x": X}, ["h", "y"], {"h": X * 0 + 7})
        np.testing.assert_array_equal(seen["y"], X * 0 - 7)
        np.testing.assert_array_equal(seen["h"], np.abs(X))  # what its node makes of its own inputs
        seen = probe.run({"x": X}, ["y"], {"positive": np.array(False), "h": X})
        np.testing.assert_array_equal(seen["y"], X + np.float32([10, 20]))


def test_a_span_ends_at_known_tensors(tmp_path):
    with probing(branching(tmp_path / "if.onnx")) as probe:
        nodes, frontier = probe.span("y", {"h", "y"})
        assert [node.op_type for node in nodes] == ["ReduceSum", "Greater", "If"]
        assert frontier == {"h", "x"}


def test_a_node_that_fails_is_named(tmp_path):
    path = write(
        tmp_path / "model.onnx",
        [helper.make_node("Reshape", ["x", "shape"], ["y"], name="baked")],
        [tensor("x", FLOAT, ["batch", 2])],
        [tensor("y", FLOAT, ["rows", 3])],
        weights={"shape": np.array([2, 3])},
    )
    with probing(path) as probe, pytest.raises(NodeFailedError) as told:
        probe.run({"x": X}, probe.tensors)
    assert told.value.facts["node"] == "baked"


def test_large_weights_are_shared_by_all_copies(tmp_path, monkeypatch):
    monkeypatch.setattr(probe_room, "_APART_FROM", 0)
    weights = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)
    path = write(
        tmp_path / "model.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Tanh", ["m"], ["y"])],
        [tensor("x", FLOAT, ["batch", 2])],
        [tensor("y", FLOAT, ["batch", 1000])],
        weights={"w": weights},
        external=True,
    )
    with probing(path) as probe:
        seen = probe.run({"x": X}, probe.tensors, {"m": X @ weights + 1})
    np.testing.assert_allclose(seen["m"], X @ weights, rtol=1e-5)
    np.testing.assert_allclose(seen["y"], np.tanh(X @ weights + 1), rtol=1e-5)


def test_the_model_that_was_given_stays_as_it_was(tmp_path):
    model = onnx.load(branching(tmp_path / "if.onnx"))
    before = model.SerializeToString(deterministic=True)
    with probing(model) as probe:
        probe.run({"x": X}, probe.tensors, {"h": X})
    assert model.SerializeToString(deterministic=True) == before


def test_attributes_as_text():
    node = helper.make_node("Resize", ["x"], ["y"], mode="linear", axes=[2, 3], cubic_coeff_a=-0.75)
    node.attribute.append(helper.make_attribute("value", helper.make_tensor("", TensorProto.FLOAT, [2], [1.0, 2.0])))
    assert attributes_of(node) == {"mode": "linear", "axes": "[2, 3]", "cubic_coeff_a": "-0.75", "value": "FLOAT[2]"}
