"""Models on an NVIDIA GPU, in the toolchain's own process: they run there, all of them, and answer as on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

import graphs
from onnxyard.errors import UnsupportedModelError
from onnxyard.lifecycle.setup import Setup
from onnxyard.measuring.bench import Bench
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.runtimes.providers.nvidia import CUDA, TENSORRT
from onnxyard.settings import Settings
from onnxyard.toolchains.catalogue import known
from onnxyard.toolchains.environment import Environment

RANDOM = np.random.default_rng(5)
X = {"x": RANDOM.normal(size=(4, 3, 16, 16)).astype(np.float32)}


@pytest.fixture
def cnn(tmp_path):
    return graphs.write(
        tmp_path / "model" / "model.onnx",
        [
            helper.make_node("Conv", ["x", "kernel"], ["mapped"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["mapped"], ["kept"]),
            helper.make_node("GlobalAveragePool", ["kept"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        ],
        [graphs.tensor("x", graphs.FLOAT, ["batch", 3, 16, 16])],
        [graphs.tensor("scores", graphs.FLOAT, ["batch", 4])],
        weights={
            "kernel": RANDOM.normal(size=(16, 3, 3, 3)).astype(np.float32),
            "weights": RANDOM.normal(size=(16, 4)).astype(np.float32),
        },
    )


@pytest.fixture
def bench(cnn, tmp_path):
    """Open benches that are closed at the end."""
    opened = []

    def make(provider, **options):
        opened.append(Bench(cnn, Setup("onnxruntime", provider, 1, options), scratch=tmp_path / f"bench-{len(opened)}"))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def here(cnn):
    return OnnxRuntime().load(cnn, provider="CPUExecutionProvider", threads=1).run(X)["scores"]


@pytest.mark.gpu
def test_cuda_answers_as_the_cpu_and_every_node_runs_there(bench, here):
    gpu = bench(CUDA.name)
    assert gpu.provider == CUDA.name
    assert gpu.runtime.startswith("onnxruntime 1.")
    np.testing.assert_allclose(gpu.run(X)["scores"], here, rtol=1e-4, atol=1e-4)
    gpu.take(X, batch_size=4)
    placed = gpu.placement(batch_size=4)
    assert set(placed) == {CUDA.name}
    assert placed[CUDA.name] >= 3


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("option", "value"), [(name, value) for name, values in CUDA.options.items() for value in values[1:]]
)
def test_every_option_of_cuda_is_taken(bench, here, option, value):
    tolerance = 1e-2 if option in CUDA.numeric else 1e-4  # tf32 keeps 10 bits of a product
    np.testing.assert_allclose(
        bench(CUDA.name, **{option: value}).run(X)["scores"], here, rtol=tolerance, atol=tolerance
    )


@pytest.mark.gpu
def test_what_cuda_has_no_kernel_for_is_refused(tmp_path):
    file = graphs.write(
        tmp_path / "model" / "model.onnx",
        [helper.make_node("StringConcat", ["words", "words"], ["twice"])],
        [graphs.tensor("words", graphs.STRING, ["batch"])],
        [graphs.tensor("twice", graphs.STRING, ["batch"])],
    )
    with pytest.raises(UnsupportedModelError, match=r"StringConcat \(1\)"):
        Bench(file, Setup("onnxruntime", CUDA.name, 1), scratch=tmp_path / "bench")


@pytest.mark.gpu("tensorrt")
def test_tensorrt_answers_as_the_cpu(bench, here):
    gpu = bench(TENSORRT.name)
    np.testing.assert_allclose(gpu.run(X)["scores"], here, rtol=1e-3, atol=1e-3)
    gpu.take(X, batch_size=4)
    assert set(gpu.placement(batch_size=4)) == {TENSORRT.name}


@pytest.mark.gpu("tensorrt")
def test_tensorrt_in_half_precision_is_near_the_cpu(bench, here):
    np.testing.assert_allclose(bench(TENSORRT.name, precision="f16").run(X)["scores"], here, rtol=5e-2, atol=5e-2)


@pytest.mark.gpu("tensorrt")
def test_engines_and_timings_are_kept_and_used_again(bench):
    kept = Environment(known("tensorrt"), Settings.read()).folder / "engines"

    def files():
        return {path: path.stat().st_mtime_ns for path in kept.rglob("*") if path.is_file()}

    bench(TENSORRT.name).run(X)
    first = files()
    assert any(path.suffix == ".engine" for path in first)
    assert any(path.suffix == ".timing" for path in first)
    bench(TENSORRT.name).run(X)
    engines = {path: when for path, when in files().items() if path.suffix == ".engine"}
    assert engines == {path: when for path, when in first.items() if path.suffix == ".engine"}
