"""Opsets that a converter does not give: reached from the nearest one, proven like any export, or refused in words."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

import graphs
from onnxyard.diagnosis.proving import prove
from onnxyard.errors import UnsupportedModelError
from onnxyard.sources import detours as module
from onnxyard.sources.detours import ways_to
from onnxyard.sources.sidecar import Origin, sidecar
from onnxyard.sources.source import MODEL_FILE, Asked, Attempt, Exported

GIVEN = range(14, 21)
FEATURES = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
EXPECTED = {"scores": np.maximum(FEATURES, 0) + 1}


def asking(opset):
    return Asked({"features": FEATURES}, ("scores",), opset, {}, {})


def converter(opset, *, activation="Relu", external=False):
    """A converter that writes `Relu(features) + 1`, and remembers which layer it was."""

    def make(model_file):
        graphs.write(
            model_file,
            [
                helper.make_node(activation, ["features"], ["positive"]),
                helper.make_node("Add", ["positive", "one"], ["scores"]),
            ],
            [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
            [graphs.tensor("scores", graphs.FLOAT, ["batch", 4])],
            weights={"one": np.ones(4, dtype=np.float32)},
            opset=opset,
            external=external,
        )
        origins = {"positive": Origin("body.0", "nn.Relu", "net.py:3")}
        return Exported("some 1.0", sidecar(onnx.load(model_file), origins, {}, exporter="some 1.0"), ("Mended.",))

    yield Attempt("some", make)


def wrong(model, opset):
    """A conversion that is valid ONNX of the right opset, and another function."""
    model.graph.node[0].op_type = "Abs"
    model.opset_import[0].version = opset
    return model


@given(st.integers(7, 27))
def test_the_converters_own_opsets_are_its_own_and_others_start_at_the_nearest(opset):
    asked_for = []

    def export(at):
        asked_for.append(at)
        yield Attempt("some", None)

    names = [attempt.name for attempt in ways_to(asking(opset), GIVEN, "some", export)]
    assert asked_for == [min(max(opset, 14), 20)]
    assert len(names) == (1 if opset in GIVEN else 3)


@pytest.mark.parametrize("opset", [14, 20, 21, 27])
def test_the_opset_is_reached_and_proven(tmp_path, opset):
    proven = prove(ways_to(asking(opset), GIVEN, "some", converter), tmp_path / "model", asking(opset), EXPECTED)
    assert proven.checked.graph.opset == opset
    assert proven.checked.max_error == 0
    converted = [f"Converted from opset 20 to {opset}."] if opset > 20 else []
    assert list(proven.exported.remedies) == ["Mended.", *converted]
    [relu, _] = proven.exported.sidecar["nodes"]
    assert (relu["module"], relu["class"], relu["source"]) == ("body.0", "nn.Relu", "net.py:3")


def test_where_the_converter_of_opsets_has_no_way_the_same_form_is_relabelled(tmp_path):
    proven = prove(ways_to(asking(13), GIVEN, "some", converter), tmp_path / "model", asking(13), EXPECTED)
    assert proven.exported.exporter == "some 1.0, relabelled"
    assert "Relu changed in opset 14" in dict(proven.failed)[f"some at opset 14, {module.CONVERTER}"]


def test_no_weights_of_the_detour_stay_beside_the_model(tmp_path):
    [_, attempt, _] = ways_to(asking(22), GIVEN, "some", lambda opset: converter(opset, external=True))
    attempt.make(tmp_path / MODEL_FILE)
    assert [path.name for path in tmp_path.iterdir()] == [MODEL_FILE]
    assert not onnx.load(tmp_path / MODEL_FILE, load_external_data=False).graph.initializer[0].external_data


def test_a_conversion_that_is_wrong_is_refused_with_the_opsets_that_can_be_had(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "convert", wrong)
    monkeypatch.setattr(module, "relabel", lambda model, opset: (wrong(model, opset), ("Relu",)))
    with pytest.raises(UnsupportedModelError, match="some does not give opset 22") as caught:
        prove(ways_to(asking(22), GIVEN, "some", converter), tmp_path / "model", asking(22), EXPECTED)
    assert caught.value.remedy == "It gives opsets 14 to 20."
    _, converted, relabelled = caught.value.facts["attempts"]
    assert "differs from the source by" in converted
    assert "differs from the source by" in relabelled
    assert not (tmp_path / "model").exists()


def test_a_wrong_conversion_gives_way_to_one_that_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "convert", wrong)
    proven = prove(ways_to(asking(22), GIVEN, "some", converter), tmp_path / "model", asking(22), EXPECTED)
    assert proven.exported.exporter == "some 1.0, relabelled"
