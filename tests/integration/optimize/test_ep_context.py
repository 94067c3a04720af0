"""Contexts that a provider compiled: they answer, load without compiling, and are refused where they do not belong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

import compiled_graphs
from onnxyard.errors import ArtifactCorruptError, UnsupportedModelError
from onnxyard.runtimes.ep_context import KEY, Context, check_context
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.runtimes.providers.catalogue import provider_named
from onnxyard.stages.optimize.passes.ep_context import EpContext

if TYPE_CHECKING:
    from pathlib import Path

QNN, OPENVINO = "QNNExecutionProvider", "OpenVINOExecutionProvider"
NO_MATERIALS = compiled_graphs.materials({})


def made(provider: str, folder: Path):
    source = compiled_graphs.cnn(folder / "model.onnx", batch=2)
    (folder / "made").mkdir()
    return source, EpContext(provider)(source, folder / "made", NO_MATERIALS)


def load(file: Path, provider: str = QNN):
    return OnnxRuntime().load(file, provider=provider, threads=1)


def prove(provider: str, folder: Path) -> None:
    source, done = made(provider, folder)
    model = onnx.load(done.file, load_external_data=False)
    assert {node.op_type for node in model.graph.node} == {"EPContext"}
    given, truth = compiled_graphs.inputs("cnn", 2), load(source, "CPUExecutionProvider")
    loaded = load(done.file, provider)
    assert loaded.provider == provider
    assert loaded.signature == truth.signature
    np.testing.assert_allclose(loaded.run(given)["scores"], truth.run(given)["scores"], atol=1e-4)
    assert set(OnnxRuntime().placement(done.file, provider=provider, threads=1, inputs=given)) == {provider}
    assert done.facts["compiled"].startswith("7 nodes in ")
    assert "under ONNX Runtime" in done.facts["good for"]
    assert done.facts["device"]
    with pytest.raises(UnsupportedModelError, match="not compatible with any execution provider"):
        load(done.file, "CPUExecutionProvider")


def test_qnn_runs_what_it_compiled(tmp_path, capfd):
    prove(QNN, tmp_path)
    assert capfd.readouterr() == ("", "")


def test_openvino_runs_what_it_compiled_or_says_why_it_cannot(tmp_path):
    lack = provider_named(OPENVINO).lack()
    if lack is None:
        prove(OPENVINO, tmp_path)
    else:  # its plug-in takes processors by Intel only
        with pytest.raises(UnsupportedModelError, match="finds no device here"):
            made(OPENVINO, tmp_path)


def test_a_free_axis_that_the_provider_cannot_take_is_named(tmp_path):
    source = compiled_graphs.cnn(tmp_path / "model.onnx")
    with pytest.raises(UnsupportedModelError, match=r"cannot compile the whole model.*fix 'batch' of 'pixels'"):
        EpContext(QNN)(source, tmp_path, NO_MATERIALS)


def test_another_version_or_processor_is_refused_loudly(tmp_path):
    _, done = made(QNN, tmp_path)
    model = onnx.load(done.file, load_external_data=False)
    entry = next(each for each in model.metadata_props if each.key == KEY)
    context = Context.of_text(entry.value)
    assert context.package.startswith("onnxruntime-qnn ")
    more = replace(context.processor, instruction_sets=context.processor.instruction_sets | {"avx1024"})
    for other, said in (
        (replace(context, package="onnxruntime-qnn 0.1"), "compiled by onnxruntime-qnn 0.1 under ONNX Runtime"),
        (replace(context, onnxruntime="1.0"), "under ONNX Runtime 1.0, and this is"),
        (replace(context, processor=more), "with avx1024"),
        (replace(context, package="no-such-package 1.0"), "no-such-package 1.0.*not installed"),
    ):
        entry.value = other.text()
        onnx.save(model, done.file)
        with pytest.raises(UnsupportedModelError, match=said):
            load(done.file)
    entry.value = context.text()
    onnx.save(model, done.file)
    load(done.file)


def test_a_context_whose_file_is_missing_is_refused(tmp_path):
    _, done = made(QNN, tmp_path)
    blobs = [path for path in done.file.parent.iterdir() if path != done.file]
    assert len(blobs) == 1
    blobs[0].unlink()
    with pytest.raises(UnsupportedModelError, match="EpContext"):
        load(done.file)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"provider": 1}'])
def test_a_description_that_is_none_is_corrupt(text):
    with pytest.raises(ArtifactCorruptError, match="no description of a context"):
        check_context({KEY: text})


def test_models_that_hold_no_context_are_nobodys_business():
    check_context({})
    check_context({"author": "someone"})
