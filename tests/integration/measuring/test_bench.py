"""A bench: the model answers as in this process, and whatever happens to its own process is one clear error."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

import graphs
from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, MissingExtraError, UnsupportedModelError
from onnxyard.lifecycle.setup import Setup
from onnxyard.measuring.bench import Bench, cores_for
from onnxyard.measuring.loading import loaded
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.runtimes.providers import nvidia
from onnxyard.runtimes.providers.lack import Lack
from onnxyard.tensors.files import write_tensors

CPU = Setup("onnxruntime", "CPUExecutionProvider", 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    file, _ = graphs.linear(tmp_path_factory.mktemp("model") / "model.onnx")
    return file


@pytest.fixture(scope="module")
def bench(model, tmp_path_factory):
    with Bench(model, CPU, scratch=tmp_path_factory.mktemp("scratch")) as started:
        yield started


def rows(count: int) -> dict[str, np.ndarray]:
    return {"features": np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)}


def test_it_is_the_model_that_was_asked_for(bench, model):
    here = OnnxRuntime().load(model, provider="CPUExecutionProvider", threads=1)
    assert bench.signature == here.signature
    assert (bench.runtime, bench.provider) == (here.runtime, here.provider)
    np.testing.assert_array_equal(bench.run(rows(5))["scores"], here.run(rows(5))["scores"])
    assert bench.load_ms > 0


def test_inputs_that_lie_in_a_folder(bench, tmp_path):
    write_tensors(tmp_path, rows(3))
    np.testing.assert_array_equal(bench.answer(tmp_path)["scores"], bench.run(rows(3))["scores"])


def test_blocks_are_as_long_as_they_were_asked_to_be(bench):
    bench.take(rows(2), batch_size=2)
    block = bench.block(batch_size=2, calls=7, seconds=60)
    assert block.ms.shape == (7,)
    assert (block.ms > 0).all()
    assert block.cpu_ms > 0
    assert len(bench.block(batch_size=2, calls=10**6, seconds=0).ms) == 1


def test_memory_is_the_models_own(bench):
    assert 0 <= bench.memory_bytes() < 1 << 28


def test_memory_grows_with_the_model(tmp_path):
    file, _ = graphs.linear(tmp_path / "small" / "model.onnx")
    wide = graphs.write(
        tmp_path / "large" / "model.onnx",
        [graphs.helper.make_node("MatMul", ["features", "weights"], ["scores"])],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", graphs.FLOAT, ["batch", 4_000_000])],
        weights={"weights": np.ones((4, 4_000_000), np.float32)},
    )
    with Bench(file, CPU, scratch=tmp_path) as small, Bench(wide, CPU, scratch=tmp_path) as large:
        assert large.memory_bytes() > small.memory_bytes() + (32 << 20)


def test_the_provider_of_each_node_is_read_back(bench):
    bench.take(rows(1), batch_size=1)
    assert bench.placement(batch_size=1) == {"CPUExecutionProvider": 1}


def test_wrong_inputs_are_told_as_in_this_process(bench):
    with pytest.raises(InvalidRequestError, match="'features' is missing"):
        bench.run({})
    assert bench.run(rows(1))["scores"].shape == (1, 3)


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ArtifactCorruptError):
        Bench(tmp_path / "model.onnx", CPU, scratch=tmp_path)


def test_an_option_that_does_not_exist(model, tmp_path):
    with pytest.raises(InvalidRequestError, match="frobnicate"):
        Bench(model, Setup("onnxruntime", "CPUExecutionProvider", 1, {"frobnicate": "on"}), scratch=tmp_path)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_an_error_that_names_it(model, tmp_path, number):
    with Bench(model, CPU, scratch=tmp_path) as started:
        started.take(rows(1), batch_size=1)
        os.kill(started._worker._child.pid, number)
        with pytest.raises(UnsupportedModelError, match=rf"onnxruntime process failed to block.*{number.name}"):
            started.block(batch_size=1, calls=1, seconds=0)
        with pytest.raises(UnsupportedModelError, match="has ended already"):
            started.block(batch_size=1, calls=1, seconds=0)


def test_a_runtime_that_hangs_is_stopped(model, tmp_path):
    with Bench(model, CPU, scratch=tmp_path, limit_s=5) as started:
        started.take(rows(1), batch_size=1)
        os.kill(started._worker._child.pid, signal.SIGSTOP)
        started._limit_s = 0.2
        with pytest.raises(UnsupportedModelError, match="gave no answer"):
            started.block(batch_size=1, calls=1, seconds=0)


def test_nothing_is_left_of_it(model, tmp_path):
    with Bench(model, CPU, scratch=tmp_path) as started:
        started.run(rows(2))
        child = started._worker._child
    assert child.poll() is not None
    assert not any((tmp_path / "workspaces").iterdir())


def test_children_are_pinned_to_the_same_cores():
    mine = sorted(os.sched_getaffinity(0))
    assert cores_for(1) == mine[:1]
    assert cores_for(len(mine) + 5) == mine


def test_a_runtime_of_this_environment_is_loaded_in_this_process(model, tmp_path):
    with loaded(model, CPU, scratch=tmp_path) as here:
        assert not isinstance(here, Bench)
        assert here.run(rows(2))["scores"].shape == (2, 3)


@pytest.mark.parametrize("provider", ["CUDAExecutionProvider", "TensorrtExecutionProvider"])
def test_a_gpu_that_is_not_here_is_told_before_its_toolchain(model, tmp_path, monkeypatch, provider):
    lack = Lack("No GPU.", "Buy one.")
    monkeypatch.setattr(nvidia, "no_gpu", lambda: lack)
    with pytest.raises(UnsupportedModelError, match="No GPU"):
        Bench(model, Setup("onnxruntime", provider, 1), scratch=tmp_path)
    monkeypatch.setattr(nvidia, "no_gpu", lambda: None)
    monkeypatch.setenv("ONNXYARD_HOME", str(tmp_path / "home"))
    with pytest.raises(MissingExtraError, match="needs the toolchain"):
        Bench(model, Setup("onnxruntime", provider, 1), scratch=tmp_path)
