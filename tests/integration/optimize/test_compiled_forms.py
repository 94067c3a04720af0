"""Models compiled to another form give the answers of the graph they were made of."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper

import compiled_graphs
import graphs
from onnxyard.errors import InvalidRequestError, MissingExtraError, UnsupportedModelError
from onnxyard.runtimes.compiled_form import COMPANION, CompiledForm, precision_of
from onnxyard.runtimes.iree import Iree
from onnxyard.runtimes.nnef import Nnef
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.stages.optimize.passes import iree_compile
from onnxyard.stages.optimize.passes.indices import index_use
from onnxyard.stages.optimize.passes.iree_compile import IreeCompile, telling
from onnxyard.stages.optimize.passes.nnef_convert import NnefConvert
from onnxyard.stages.optimize.passes.ort_format import CONFIG, OrtFormat

if TYPE_CHECKING:
    from pathlib import Path

MAKE = {"cnn": compiled_graphs.cnn, "mlp": compiled_graphs.mlp, "encoder": compiled_graphs.encoder}
NO_MATERIALS = compiled_graphs.materials({})


def worst(model, source: Path, name: str) -> float:
    """The largest difference to ONNX Runtime's answers over three batch lengths, relative to the largest value."""
    truth = OnnxRuntime().load(source, provider="CPUExecutionProvider", threads=1)
    errors = []
    for rows in (1, 2, 5):
        wanted = truth.run(compiled_graphs.inputs(name, rows))["scores"]
        got = model.run(compiled_graphs.inputs(name, rows))["scores"]
        assert got.shape == wanted.shape
        errors.append(np.abs(got - wanted).max() / np.abs(wanted).max())
    return max(errors)


@pytest.mark.parametrize("name", MAKE)
def test_iree_answers_as_onnx_runtime_does(name, tmp_path):
    source = MAKE[name](tmp_path / "model.onnx")
    (tmp_path / "made").mkdir()
    done = IreeCompile()(source, tmp_path / "made", NO_MATERIALS)
    assert done.changed
    assert done.file.name == "model.vmfb"
    assert sorted(path.name for path in done.file.parent.iterdir()) == ["model.vmfb", "signature.json"]
    assert worst(Iree().load(done.file, provider="llvm-cpu", threads=1), source, name) < 1e-4
    form, nodes = CompiledForm.read(done.file), len(onnx.load(source).graph.node)
    assert (form.opset, form.precision, form.nodes) == (20, "fp32", nodes)
    assert f"{nodes} nodes by IREE" in done.facts["compiled"]
    assert form.ranges == ({"ids": (-100, 99)} if name == "encoder" else {})


def test_iree_names_the_operator_that_it_cannot_lower(tmp_path):
    source = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Attention", ["x", "x", "x"], ["y"])],
        [graphs.tensor("x", graphs.FLOAT, ["batch", 2, 4, 8])],
        [graphs.tensor("y", graphs.FLOAT, ["batch", 2, 4, 8])],
        opset=23,
    )
    with pytest.raises(UnsupportedModelError, match="no lowering for the operator Attention"):
        IreeCompile()(source, tmp_path, NO_MATERIALS)


def test_a_compiler_that_is_not_installed_names_the_extra(tmp_path, monkeypatch):
    source = compiled_graphs.mlp(tmp_path / "model.onnx")
    monkeypatch.setattr(iree_compile, "find_spec", lambda _name: None)
    monkeypatch.setitem(sys.modules, "nnef_tools.conversion", None)
    for each, extra in ((IreeCompile(), "iree"), (NnefConvert(), "nnef")):
        with pytest.raises(MissingExtraError, match=rf"onnxyard\[{extra}\]"):
            each(source, tmp_path, compiled_graphs.materials(compiled_graphs.inputs("mlp", 2)))


def test_irees_compiler_has_limits(tmp_path):
    source = compiled_graphs.encoder(tmp_path / "model.onnx")
    with pytest.raises(UnsupportedModelError, match="did not finish within 1 s"):
        IreeCompile(seconds=1)(source, tmp_path, NO_MATERIALS)
    with pytest.raises(UnsupportedModelError, match=r"IREE('s compiler| cannot)"):
        IreeCompile(memory_bytes=1 << 24)(source, tmp_path, NO_MATERIALS)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("m.mlir:4:10: error: failed to legalize 'torch.operator': <{name = \"onnx.Det\"}>", "the operator Det"),
        ("m.mlir:4:10: error: something else.\n  note: see", "something else"),
        ("ValidationError: No Op registered for Frob with domain_version of 20", "no operator Frob"),
        ("Traceback\n  File\nValueError: too large", "ValueError: too large"),
        ("", "without a word"),
    ],
)
def test_the_telling_line_of_a_failure(said, told):
    assert telling(said).endswith(told)


def test_indices_are_followed_to_the_inputs_they_come_from():
    tensors = {"table": np.zeros((7, 2), np.float32), "wide": np.zeros((2, 5), np.float32), "two": np.array([1])}
    nodes = [
        helper.make_node("Cast", ["ids"], ["long"], to=graphs.INT64),
        helper.make_node("Unsqueeze", ["long", "two"], ["column"]),
        helper.make_node("Gather", ["table", "column"], ["a"]),
        helper.make_node("Gather", ["wide", "ids"], ["b"], axis=1),
        helper.make_node("Gather", ["table", "two"], ["c"]),
        helper.make_node("Add", ["ids", "two"], ["later"]),
        helper.make_node("Gather", ["table", "later"], ["d"], name="computed"),
        helper.make_node("Gather", ["free", "more"], ["e"], name="unknown"),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            graphs.tensor("ids", graphs.INT64, ["batch"]),
            graphs.tensor("more", graphs.INT64, ["batch"]),
            graphs.tensor("free", graphs.FLOAT, ["length"]),
        ],
        [graphs.tensor("a", graphs.FLOAT, ["batch", 1, 2])],
        [onnx.numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    use = index_use(helper.make_model(graph))
    assert use.ranges == {"ids": (-5, 4)}  # the smaller of its two tables
    assert use.unchecked == ("computed", "unknown")


@pytest.mark.parametrize(("name", "opset"), [("cnn", 13), ("cnn", 20), ("mlp", 20)])
def test_nnef_answers_as_onnx_runtime_does(name, opset, tmp_path):
    source = tmp_path / "model.onnx"
    source = compiled_graphs.cnn(source, opset=opset) if name == "cnn" else compiled_graphs.mlp(source)
    (tmp_path / "made").mkdir()
    done = NnefConvert()(source, tmp_path / "made", compiled_graphs.materials(compiled_graphs.inputs(name, 4)))
    assert done.file.name == "model.nnef.tgz"
    assert worst(Nnef().load(done.file, provider="interpreter", threads=1), source, name) < 1e-4
    assert float(done.facts["largest difference"]) < 1e-4
    assert done.facts["shapes"] == "one row a call, for any batch"


def test_the_same_model_gives_the_same_archive(tmp_path):
    source = compiled_graphs.cnn(tmp_path / "model.onnx")
    archives = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        materials = compiled_graphs.materials(compiled_graphs.inputs("cnn", 4))
        archives.append(NnefConvert()(source, tmp_path / folder, materials).file.read_bytes())
    assert archives[0] == archives[1]


def test_nnef_names_what_it_cannot_take(tmp_path):
    materials = compiled_graphs.materials(compiled_graphs.inputs("encoder", 4))
    with pytest.raises(UnsupportedModelError, match=r"'ids' has the free axis 'sequence'.*axis fixed"):
        NnefConvert()(compiled_graphs.encoder(tmp_path / "free.onnx"), tmp_path, materials)
    model = onnx.load(tmp_path / "free.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7
    onnx.save(model, tmp_path / "fixed.onnx")
    with pytest.raises(UnsupportedModelError, match="operator 'LayerNormalization' is not implemented"):
        NnefConvert()(tmp_path / "fixed.onnx", tmp_path, materials)


def test_nnef_finds_a_model_whose_rows_depend_on_each_other(tmp_path):
    source = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("ReduceMean", ["x", "over"], ["mean"]), helper.make_node("Sub", ["x", "mean"], ["y"])],
        [graphs.tensor("x", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("y", graphs.FLOAT, ["batch", 4])],
        weights={"over": np.array([0])},
    )
    rows = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    with pytest.raises(UnsupportedModelError, match="answers differ from ONNX Runtime's"):
        NnefConvert()(source, tmp_path, compiled_graphs.materials({"x": rows}))


@pytest.mark.parametrize("name", MAKE)
def test_ort_format_answers_as_the_graph_does(name, tmp_path, capfd):
    source, handlers = MAKE[name](tmp_path / "model.onnx"), list(logging.getLogger().handlers)
    (tmp_path / "made").mkdir()
    done = OrtFormat()(source, tmp_path / "made", NO_MATERIALS)
    assert sorted(path.name for path in done.file.parent.iterdir()) == ["model.ort", CONFIG, COMPANION]
    assert precision_of(done.file) == precision_of(source) == "fp32"
    model = OnnxRuntime().load(done.file, provider="CPUExecutionProvider", threads=1)
    assert (
        model.signature.inputs
        == OnnxRuntime().load(source, provider="CPUExecutionProvider", threads=1).signature.inputs
    )
    assert worst(model, source, name) < 1e-5
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == handlers


def test_ort_format_says_which_kernels_a_build_needs(tmp_path):
    source = compiled_graphs.mlp(tmp_path / "model.onnx")
    (tmp_path / "made").mkdir()
    done = OrtFormat()(source, tmp_path / "made", NO_MATERIALS)
    config = (done.file.with_name(CONFIG)).read_text()
    assert "Gemm{" in config
    assert str(tmp_path) not in config
    assert done.facts == {"operators required": "2 in 2 domains", "types required": "float"}


def test_a_file_in_ort_format_that_was_spoilt_is_refused(tmp_path):
    source = compiled_graphs.mlp(tmp_path / "model.onnx")
    (tmp_path / "made").mkdir()
    file = OrtFormat()(source, tmp_path / "made", NO_MATERIALS).file
    with pytest.raises(InvalidRequestError, match="'features' is DOUBLE"):
        OnnxRuntime().load(file, provider="CPUExecutionProvider", threads=1).run({"features": np.zeros((1, 30))})
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UnsupportedModelError, match="ONNX Runtime"):
        OnnxRuntime().load(file, provider="CPUExecutionProvider", threads=1)
