"""Pairing by what is known: the sidecar, equal names of one graph, module boundaries."""

from __future__ import annotations

from onnx import helper

from graphs import FLOAT, tensor, write
from onnxyard.diagnosis.blame.origins import From
from onnxyard.diagnosis.blame.pairing import by_identity, by_module, by_name
from onnxyard.diagnosis.blame.probe import probing
from onnxyard.diagnosis.blame.reference import Place

SIDECAR = {
    "nodes": [{"op": "Relu", "outputs": ["relu"]}, {"op": "Tanh", "outputs": ["y"]}],
    "tensors": {
        "relu": {"operator": "aten.relu.default", "value": "relu"},
        "y": {"operator": "aten.tanh.default", "value": "tanh"},
    },
}
PLACES = [Place("relu", "aten.relu.default", "body.0"), Place("tanh", "aten.tanh.default", "head")]


def graph(path, *operators, names=("relu", "y")):
    nodes, before = [], "x"
    for op, name in zip(operators, names, strict=True):
        nodes.append(helper.make_node(op, [before], [name]))
        before = name
    return write(path, nodes, [tensor("x", FLOAT, ["batch", 2])], [tensor(names[-1], FLOAT, ["batch", 2])])


def test_the_sidecar_names_the_value_a_tensor_holds(tmp_path):
    with probing(graph(tmp_path / "model.onnx", "Relu", "Tanh")) as probe:
        assert [(pair.place, pair.tensor) for pair in by_identity(PLACES, probe, SIDECAR)] == [
            ("relu", "relu"),
            ("tanh", "y"),
        ]


def test_a_name_alone_is_no_identity(tmp_path):
    """Another operator under the same name of the framework; or another graph that happens to use the same names."""
    other = [Place("relu", "aten.gelu.default"), PLACES[1]]
    with probing(graph(tmp_path / "model.onnx", "Relu", "Tanh")) as probe:
        assert [pair.place for pair in by_identity(other, probe, SIDECAR)] == ["tanh"]
    with probing(graph(tmp_path / "other.onnx", "Abs", "Neg")) as probe:
        assert by_identity(PLACES, probe, SIDECAR) == []


def test_two_states_of_one_graph_are_paired_by_name(tmp_path):
    with probing(graph(tmp_path / "model.onnx", "Relu", "Tanh")) as probe:
        states = [Place("relu", "Relu"), Place("y", "Tanh")]
        assert [pair.tensor for pair in by_name(states, probe)] == ["relu", "y"]
        assert by_name([Place("relu", "Conv"), Place("y", "Gemm")], probe) == []


def test_modules_are_paired_by_what_they_give(tmp_path):
    names = ("a", "b", "c", "d")
    origins = {
        name: From(module, "", "") for name, module in zip(names, ("body.0", "body.0", "body.1", "head"), strict=True)
    }
    places = [Place("p", module="body.0"), Place("q", module="body.1"), Place("r", module="head")]
    with probing(graph(tmp_path / "model.onnx", "Relu", "Tanh", "Abs", "Neg", names=names)) as probe:
        pairs = {(pair.place, pair.tensor) for pair in by_module(places, probe, origins)}
        assert pairs == {("p", "b"), ("q", "c"), ("r", "d")}
        twice = [*places, Place("s", module="body.0")]
        assert {pair.place for pair in by_module(twice, probe, origins)} == {"q", "r"}
