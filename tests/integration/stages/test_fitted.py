"""The fitted model as every later stage loads it."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from small_project import MODULE, write_project

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, UserCodeError
from onnxyard.sources.by_name import source_of
from onnxyard.sources.torch.reference import load_module
from onnxyard.tensors.files import read_tensors


def load_fitted(project, folder):
    return source_of(project).load(project, folder)


@pytest.fixture
def fitted(exported_way):
    return exported_way.workspace / "develop" / "fitted"


def test_it_gives_the_golden_outputs_again(exported_way, fitted):
    golden = exported_way.workspace / "develop" / "golden_set"
    model = load_fitted(exported_way.project, fitted)
    outputs = model.run(read_tensors(golden / "inputs"))
    np.testing.assert_allclose(outputs["logits"], read_tensors(golden / "outputs")["logits"], atol=1e-5)
    assert model.runtime.startswith("torch 2.")
    assert model.signature.outputs[0].shape == ("batch", 3)


def test_it_is_in_eval_mode_and_keeps_no_gradients(exported_way, fitted):
    module = load_module(exported_way.project, fitted)
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_threads_and_frozen_arrays_are_fine(exported_way, fitted):
    model = load_fitted(exported_way.project, fitted)
    features = np.ones((3, 4), np.float32)
    features.flags.writeable = False
    wanted = model.run({"features": features})["logits"]
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: model.run({"features": features})["logits"], range(20)):
            np.testing.assert_array_equal(answer, wanted)


def test_another_architecture_is_refused(fitted, tmp_path):
    project = write_project(
        tmp_path / "project", module=MODULE.replace("nn.Linear(32, 3)", "nn.Linear(32, 3, bias=False)")
    )
    with pytest.raises(UserCodeError, match=r"do not fit.*body\.2\.bias"):
        load_fitted(project, fitted)


@pytest.mark.parametrize("broken", ["cut", "missing"])
def test_broken_weights_are_corrupt(exported_way, fitted, tmp_path, broken):
    copy = tmp_path / "fitted"
    shutil.copytree(fitted, copy)
    weights = copy / "weights.safetensors"
    if broken == "cut":
        weights.write_bytes(weights.read_bytes()[:-10])
    else:
        weights.unlink()
    with pytest.raises(ArtifactCorruptError):
        load_fitted(exported_way.project, copy)


def test_wrong_inputs_and_a_forward_that_raises_are_told(exported_way, fitted):
    model = load_fitted(exported_way.project, fitted)
    with pytest.raises(InvalidRequestError, match=r"forward\(features\) does not take 'pixels'"):
        model.run({"pixels": np.ones((1, 4), np.float32)})
    with pytest.raises(UserCodeError, match="forward raised: RuntimeError"):
        model.run({"features": np.ones((1, 5), np.float32)})
