"""Conversion between opsets: what cannot be is said in words, and nothing unchanged is passed off as converted."""

import numpy as np
import onnx
import pytest
from onnx import helper

import graphs
from onnxyard.errors import UnsupportedModelError
from onnxyard.sources import converting
from onnxyard.sources.converting import convert, relabel


def relu(tmp_path, *, opset, operator="Relu"):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node(operator, ["features"], ["scores"])],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", graphs.FLOAT, ["batch", 4])],
        opset=opset,
    )
    return onnx.load(file)


@pytest.mark.parametrize("opset", [14, 17, 22])
def test_the_opset_is_reached_with_an_ir_version_of_its_time(tmp_path, opset):
    converted = convert(relu(tmp_path, opset=20), opset)
    assert converted.opset_import[0].version == opset
    assert converted.ir_version <= helper.find_min_ir_version_for(list(converted.opset_import))


@pytest.mark.parametrize("change", [convert, lambda model, opset: relabel(model, opset)[0]])
def test_weights_that_are_no_inputs_keep_the_ir_version_that_allows_it(tmp_path, change):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Add", ["features", "one"], ["scores"])],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", graphs.FLOAT, ["batch", 4])],
        weights={"one": np.ones(4, dtype=np.float32)},
        opset=9,
    )
    changed = change(onnx.load(file), 7)
    assert (changed.opset_import[0].version, changed.ir_version) == (7, 4)
    onnx.checker.check_model(changed, full_check=True)


def test_an_operator_without_a_way_back_is_named(tmp_path):
    with pytest.raises(UnsupportedModelError, match=r"from opset 20 to 13 .* Relu changed in opset 14"):
        convert(relu(tmp_path, opset=20), 13)


def test_an_operator_that_did_not_exist_is_named(tmp_path):
    with pytest.raises(UnsupportedModelError, match=r"from opset 20 to 17 .* Gelu"):
        convert(relu(tmp_path, opset=20, operator="Gelu"), 17)


def test_a_converter_that_returns_the_graph_unchanged_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(converting.version_converter, "convert_version", lambda model, _opset: model)
    with pytest.raises(UnsupportedModelError, match="gave opset 20 instead of 17"):
        convert(relu(tmp_path, opset=20), 17)


def test_weights_beside_the_file_are_too_large_for_it(tmp_path):
    file, _ = graphs.linear(tmp_path / "model.onnx", external=True)
    with pytest.raises(UnsupportedModelError, match="too large"):
        convert(onnx.load(file, load_external_data=False), 17)


def test_operators_of_the_same_form_are_relabelled(tmp_path):
    model = relu(tmp_path, opset=20)
    labelled, changed = relabel(model, 13)
    assert (labelled.opset_import[0].version, labelled.ir_version, changed) == (13, 7, ("Relu",))
    assert model.opset_import[0].version == 20


def test_an_operator_or_attribute_that_is_newer_is_not_relabelled(tmp_path):
    with pytest.raises(UnsupportedModelError, match="Gelu does not exist in opset 17"):
        relabel(relu(tmp_path, opset=20, operator="Gelu"), 17)
    model = relu(tmp_path, opset=20, operator="Reshape")
    model.graph.node[0].attribute.append(helper.make_attribute("allowzero", 1))
    with pytest.raises(UnsupportedModelError, match="Reshape has no attribute 'allowzero' in opset 13"):
        relabel(model, 13)
