"""What each graph pass is for, on models where it has something to do; and how it behaves towards its user."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

from onnxyard.errors import MissingExtraError, UnsupportedModelError
from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.stages.optimize.passes.batch_norm import FoldBatchNorm
from onnxyard.stages.optimize.passes.dead_weights import DropDeadWeights
from onnxyard.stages.optimize.passes.fold_constants import FoldConstants
from onnxyard.stages.optimize.passes.onnxscript_optimizer import OnnxscriptOptimizer
from onnxyard.stages.optimize.passes.onnxslim_simplifier import OnnxslimSimplifier
from onnxyard.stages.optimize.passes.ort_level import OrtLevel
from onnxyard.stages.optimize.passes.transformer_fusions import TransformerFusions
from onnxyard.stages.optimize.recipes.graph import GRAPH
from optimizable import SAMPLES, built, encoder

BY_NAME = {sample.name: sample for sample in SAMPLES}
EVERY = list({repr(each): each for recipe in GRAPH for each in recipe.passes}.values())
TOOLS = [TransformerFusions("onnxscript"), TransformerFusions("onnxruntime")]


def save(model, folder):
    folder.mkdir()
    onnx.save_model(model, folder / "model.onnx")
    return folder / "model.onnx"


def apply(each, source, folder):
    folder.mkdir()
    return each(source, folder, None)


def run(file, **inputs):
    return OnnxRuntime().load(file, provider="CPUExecutionProvider", threads=1).run(inputs)


def masked_encoder():
    """The encoder with a mask [batch, 6] of ones and zeros, as models of text take it."""
    model = encoder()
    model.graph.input.append(onnx.helper.make_tensor_value_info("mask", onnx.TensorProto.INT64, ["batch", 6]))
    at = next(at for at, node in enumerate(model.graph.node) if node.op_type == "Softmax")
    piece = built(
        """piece (int64[batch,6] mask, float[batch,2,6,6] scaled) => (float[batch,2,6,6] hidden) {
            seen = Unsqueeze (mask, axes)
            shown = Cast <to=1> (seen)
            absent = Sub (one, shown)
            penalty = Mul (absent, far)
            hidden = Add (scaled, penalty)
        }""",
        {"axes": np.array([1, 2]), "one": np.float32(1), "far": np.float32(-1e4)},
    )
    for node in reversed(piece.graph.node):
        model.graph.node.insert(at, node)
    model.graph.node[at + len(piece.graph.node)].input[0] = "hidden"
    model.graph.initializer.extend(piece.graph.initializer)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize("tool", TOOLS, ids=str)
def test_attention_and_what_surrounds_it_are_fused_and_counted(tool, tmp_path):
    source = BY_NAME["encoder"].write(tmp_path / "source")
    done = apply(tool, source, tmp_path / "made")
    assert done.facts["fused"] == "1 Attention, 1 BiasGelu, 2 SkipLayerNormalization"
    attention = next(node for node in onnx.load(done.file).graph.node if node.op_type == "Attention")
    assert {a.name: a.i for a in attention.attribute}["num_heads"] == 2


@pytest.mark.parametrize("tool", TOOLS, ids=str)
@pytest.mark.parametrize("padded", ["right", "left", "nowhere", "everywhere but one"])
def test_a_mask_means_the_same_wherever_the_padding_is(tool, padded, tmp_path):
    source = save(masked_encoder(), tmp_path / "source")
    done = apply(tool, source, tmp_path / "made")
    assert done.changed
    masks = {
        "right": [[1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0]],
        "left": [[0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1]],
        "nowhere": [[1] * 6] * 2,
        "everywhere but one": [[0, 0, 1, 0, 0, 0]] * 2,
    }
    ids = np.random.default_rng(0).integers(0, 50, (2, 6))
    expected, answered = (run(file, ids=ids, mask=np.array(masks[padded]))["scores"] for file in (source, done.file))
    np.testing.assert_allclose(answered, expected, atol=1e-5)


def test_a_model_that_is_too_large_for_the_tool_is_refused(tmp_path, monkeypatch):
    source = BY_NAME["encoder"].write(tmp_path / "source")
    monkeypatch.setattr("onnxyard.stages.optimize.passes.transformer_fusions._LARGEST", source.stat().st_size - 1)
    with pytest.raises(UnsupportedModelError, match="takes ten times the memory"):
        apply(TransformerFusions("onnxruntime"), source, tmp_path / "made")


def test_the_check_of_masks_can_fail(tmp_path):
    source = save(masked_encoder(), tmp_path / "source")
    ids = np.random.default_rng(0).integers(0, 50, (1, 6))
    left, right = (run(source, ids=ids, mask=np.array([m]))["scores"] for m in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]))
    assert np.abs(left - right).max() > 1e-3


def test_transformers_are_fused_without_torch(tmp_path):
    source = BY_NAME["encoder"].write(tmp_path / "source")
    code = f"""
import pathlib, sys
sys.modules["torch"] = None
from onnxyard.stages.optimize.passes.transformer_fusions import TransformerFusions
for tool in ("onnxruntime", "onnxscript"):
    folder = pathlib.Path({str(tmp_path)!r}, tool)
    folder.mkdir()
    print(TransformerFusions(tool)(pathlib.Path({str(source)!r}), folder, None).facts["fused"])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["1 Attention, 1 BiasGelu, 2 SkipLayerNormalization"] * 2
    assert done.stderr == ""


def test_onnxscript_keeps_the_metadata_of_nodes(tmp_path):
    model = BY_NAME["wasteful"].model()
    for node in model.graph.node:
        entry = node.metadata_props.add()
        entry.key, entry.value = "pkg.torch.onnx.stack_trace", f"line of {node.output[0]}"
    done = apply(OnnxscriptOptimizer(), save(model, tmp_path / "source"), tmp_path / "made")
    after = onnx.load(done.file)
    assert len(after.graph.node) < len(model.graph.node)
    told = {node.output[0]: {e.key: e.value for e in node.metadata_props} for node in after.graph.node}
    assert all(told[name]["pkg.torch.onnx.stack_trace"] == f"line of {name}" for name in told)


def test_dead_and_double_weights_go(tmp_path):
    source = BY_NAME["wasteful"].write(tmp_path / "source")
    done = apply(DropDeadWeights(), source, tmp_path / "made")
    assert done.facts == {"nodes": "5 became 4", "weights": "3 became 1"}
    assert done.file.stat().st_size < source.stat().st_size / 5


def test_words_are_merged_as_weights_are(tmp_path):
    model = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 20]>
        words (string[batch] x) => (bool[batch] y)
        <string[1] a = {"red"}, string[1] b = {"red"}, string[1] c = {"blue"}, string[1] unread = {"green"}>
        { p = Equal (x, a)  q = Equal (x, b)  r = Equal (x, c)  s = Or (p, q)  y = Or (s, r) }
    """)
    done = apply(DropDeadWeights(), save(model, tmp_path / "source"), tmp_path / "made")
    assert done.facts["weights"] == "4 became 2"
    words = np.array(["red", "blue", "green"], dtype=object)
    assert run(done.file, x=words)["y"].tolist() == [True, True, False]


def test_what_is_folded_has_a_largest_size(tmp_path):
    text = """wide (float[batch,1] x) => (float[batch,1] y) {
        big = Expand (one, shape)
        s = ReduceSum (big)
        y = Mul (x, s)
    }"""
    model = built(text, {"one": np.float32(1), "shape": np.array([64, 64])})
    source = save(model, tmp_path / "source")
    assert apply(FoldConstants(largest=100), source, tmp_path / "small").changed is False
    folded = apply(FoldConstants(largest=10_000), source, tmp_path / "large")
    assert len(onnx.load(folded.file).graph.node) == 1


@pytest.mark.parametrize("level", ["extended", "all"])
def test_operators_of_onnx_runtime_come_with_its_higher_levels(level, tmp_path):
    source = BY_NAME["encoder"].write(tmp_path / "source")
    basic = apply(OrtLevel("basic"), source, tmp_path / "basic")
    higher = apply(OrtLevel(level), source, tmp_path / "higher")
    own = [name for name in read_graph(higher.file).operators if name.startswith("com.microsoft")]
    assert own
    assert not [name for name in read_graph(basic.file).operators if "::" in name]


def test_a_graph_that_onnx_runtime_cannot_load_is_refused(tmp_path):
    model = built("odd (float[batch,4] x) => (float[batch,4] y) { y = Relu (x) }")
    model.graph.node[0].op_type = "NoSuchOperator"
    source = save(model, tmp_path / "source")
    with pytest.raises(UnsupportedModelError, match=r"ONNX Runtime cannot optimize the graph: .*NoSuchOperator"):
        apply(OrtLevel("basic"), source, tmp_path / "made")


@pytest.mark.parametrize("each", EVERY, ids=str)
def test_nobody_prints_and_the_root_logger_stays(each, tmp_path, capfd):
    root = logging.getLogger()
    before = (root.level, list(root.handlers), root.disabled, logging.root.manager.disable)
    for name in ("encoder", "wasteful", "subgraphs"):
        apply(each, BY_NAME[name].write(tmp_path / name), tmp_path / f"{name}-made")
    assert (root.level, list(root.handlers), root.disabled, logging.root.manager.disable) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("each", "package"),
    [
        (OnnxslimSimplifier(), "onnxslim"),
        (OnnxscriptOptimizer(), "onnxscript"),
        (FoldConstants(), "onnxscript"),
        (DropDeadWeights(), "onnx_ir"),
        (TransformerFusions("onnxscript"), "onnx_ir"),
    ],
    ids=str,
)
def test_a_package_that_is_missing_is_named_with_its_extra(each, package, tmp_path, monkeypatch):
    source = BY_NAME["wasteful"].write(tmp_path / "source")
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=package) as caught:
        apply(each, source, tmp_path / "made")
    assert "pip install 'onnxyard[optimize]'" in str(caught.value)


def test_the_catalogue_imports_none_of_the_optimizers():
    heavy = ["onnxscript", "onnx_ir", "onnxslim", "torch", "sympy"]
    code = f"""
import sys
import onnxyard.stages.optimize.recipes.catalogue, onnxyard.stages.optimize.making
print(*[name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)
    assert done.stdout.strip() == ""


def test_both_sides_of_a_batch_normalization_are_told(tmp_path):
    done = apply(FoldBatchNorm(), BY_NAME["cnn"].write(tmp_path / "source"), tmp_path / "made")
    assert done.facts["batch norms folded"] == "2 into the layer in front, 1 into the layers behind"
    assert "BatchNormalization" not in read_graph(done.file).operators
