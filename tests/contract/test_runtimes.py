"""One contract, every runtime: what serving and the stages may rely on whatever runs the model."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

import graphs
from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, MissingExtraError, UnsupportedModelError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.ports.runtime import Runtime
from onnxyard.runtimes import ort_session
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.runtimes.openvino_package import openvino
from onnxyard.runtimes.providers import catalogue
from onnxyard.runtimes.providers.provider import Provider
from onnxyard.runtimes.runtime import runtime_named

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.ports.runtime import LoadedModel


@dataclass(frozen=True)
class Subject:
    runtime: Runtime
    provider: str
    name: str

    def load(self, file: Path, *, threads: int = 1, **options: str) -> LoadedModel:
        return self.runtime.load(file, provider=self.provider, threads=threads, options=options)

    def placement(self, file: Path, inputs: dict[str, np.ndarray], **options: str) -> dict[str, int]:
        return self.runtime.placement(file, provider=self.provider, threads=1, options=options, inputs=inputs)


READERS = {"onnxruntime": "CPUExecutionProvider", "openvino": "CPU"}
"""Runtimes that read ONNX, and where they do it here."""


@pytest.fixture(params=READERS)
def subject(request):
    return Subject(runtime_named(request.param), READERS[request.param], request.param)


@pytest.fixture
def linear(subject, tmp_path):
    file, weights = graphs.linear(tmp_path / "model.onnx")
    return subject.load(file), weights


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 33])
def test_answers_any_batch_length(linear, count):
    model, weights = linear
    answer = model.run({"features": rows(count)})
    assert list(answer) == ["scores"]
    assert answer["scores"].dtype == np.float32
    np.testing.assert_allclose(answer["scores"], rows(count) @ weights, atol=1e-5)


def test_says_what_it_takes_and_what_runs_it(linear, subject):
    model, _ = linear
    assert model.signature == Signature(
        (TensorSpec("features", "FLOAT", ("batch", 4)),), (TensorSpec("scores", "FLOAT", ("batch", 3)),)
    )
    assert model.provider == subject.provider
    name, version = model.runtime.split()
    assert name == subject.name
    assert version[0].isdigit()


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "'features' is missing"),
        ({"features": rows(2), "extra": rows(2)}, "no input 'extra'"),
        ({"features": rows(2).astype(np.float64)}, "is DOUBLE; the model takes FLOAT"),
        ({"features": rows(2)[:, :3]}, r"shape \[2, 3\]; the model takes \[batch, 4\]"),
        ({"features": rows(2)[0]}, r"shape \[4\]"),
        ({"features": np.array([["a"] * 4])}, "is STRING; the model takes FLOAT"),
    ],
)
def test_refuses_wrong_inputs_in_words(linear, inputs, said):
    model, _ = linear
    with pytest.raises(InvalidRequestError, match=said):
        model.run(inputs)


def test_takes_arrays_that_are_not_contiguous_or_not_writable(linear):
    model, weights = linear
    wide = np.repeat(rows(3), 2, axis=1)[:, ::2]
    frozen = np.asfortranarray(rows(3))
    frozen.flags.writeable = False
    for array in (wide, frozen):
        np.testing.assert_allclose(model.run({"features": array})["scores"], array @ weights, atol=1e-5)


def test_an_answer_stays_as_it_was_when_the_next_one_is_made(linear):
    model, weights = linear
    first = model.run({"features": rows(4)})["scores"]
    model.run({"features": np.zeros((4, 4), np.float32)})
    np.testing.assert_allclose(first, rows(4) @ weights, atol=1e-5)


def test_many_threads_may_run_it_at_once(linear):
    model, weights = linear
    together = threading.Barrier(8)

    def ask(seed: int) -> bool:
        together.wait()
        sent = [np.random.default_rng(seed + i).normal(size=(1 + seed % 5, 4)).astype(np.float32) for i in range(50)]
        return all(np.allclose(model.run({"features": x})["scores"], x @ weights, atol=1e-5) for x in sent)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


def test_finds_weights_beside_the_file(subject, tmp_path):
    file, weights = graphs.linear(tmp_path / "model.onnx", external=True)
    assert (tmp_path / "model.onnx.data").stat().st_size >= weights.nbytes
    np.testing.assert_allclose(subject.load(file).run({"features": rows(2)})["scores"], rows(2) @ weights, atol=1e-5)


def test_axes_of_one_name_have_one_length(subject, tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Add", ["left", "right"], ["sum"])],
        [
            graphs.tensor("left", TensorProto.FLOAT, ["batch", 2]),
            graphs.tensor("right", TensorProto.FLOAT, ["batch", 2]),
        ],
        [graphs.tensor("sum", TensorProto.FLOAT, ["batch", 2])],
    )
    model = subject.load(file)
    with pytest.raises(InvalidRequestError, match="'batch' has length 3 in 'left' and 1 in 'right'"):
        model.run({"left": np.ones((3, 2), np.float32), "right": np.ones((1, 2), np.float32)})


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_, np.float16])
def test_keeps_dtypes(subject, tmp_path, dtype):
    proto = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Concat", ["values", "values"], ["twice"], axis=1)],
        [graphs.tensor("values", proto, ["batch", 2])],
        [graphs.tensor("twice", proto, ["batch", 4])],
    )
    values = np.array([[0, 1], [1, 0]]).astype(dtype)
    answer = subject.load(file).run({"values": values})["twice"]
    assert answer.dtype == dtype
    np.testing.assert_array_equal(answer, np.concatenate([values, values], axis=1))


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_a_file_that_is_no_model_is_corrupt(subject, tmp_path, content):
    whole, _ = graphs.linear(tmp_path / "whole.onnx")
    file = tmp_path / "model.onnx"
    file.write_bytes(whole.read_bytes()[:-20] if content is None else content)
    with pytest.raises(ArtifactCorruptError):
        subject.load(file)


def test_a_missing_file_is_corrupt(subject, tmp_path):
    with pytest.raises(ArtifactCorruptError):
        subject.load(tmp_path / "model.onnx")


def test_an_unknown_operator_is_unsupported(subject, tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Frobnicate", ["features"], ["scores"])],
        [graphs.tensor("features", TensorProto.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", TensorProto.FLOAT, ["batch", 4])],
    )
    with pytest.raises(UnsupportedModelError, match="Frobnicate"):
        subject.load(file)


def test_a_batch_length_baked_in_is_told_when_it_shows(subject, tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Reshape", ["features", "shape"], ["scores"])],
        [graphs.tensor("features", TensorProto.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", TensorProto.FLOAT, ["batch", 4])],
        weights={"shape": np.array([2, 4], dtype=np.int64)},
    )
    model = subject.load(file)
    model.run({"features": rows(2)})
    with pytest.raises(UnsupportedModelError, match=r"features \[3, 4\]"):
        model.run({"features": rows(3)})


@pytest.mark.parametrize("provider", ["AzureExecutionProvider", "TPU", "", "cpu"])
def test_only_verified_providers_are_opened(subject, tmp_path, provider):
    file, _ = graphs.linear(tmp_path / "model.onnx")
    with pytest.raises(UnsupportedModelError, match="verified"):
        subject.runtime.load(file, provider=provider, threads=1)


def test_logs_nothing(subject, tmp_path, capfd):
    # An initializer that nothing uses makes ONNX Runtime warn at its default level.
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Relu", ["features"], ["scores"])],
        [graphs.tensor("features", TensorProto.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", TensorProto.FLOAT, ["batch", 4])],
        weights={"idle": np.ones(3, np.float32)},
    )
    subject.load(file).run({"features": rows(1)})
    assert capfd.readouterr() == ("", "")


def test_strings_go_in_and_out(tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("StringConcat", ["words", "words"], ["twice"])],
        [graphs.tensor("words", TensorProto.STRING, ["batch"])],
        [graphs.tensor("twice", TensorProto.STRING, ["batch"])],
    )
    model = OnnxRuntime().load(file, provider="CPUExecutionProvider", threads=1)
    for words in (np.array(["ab", "ü"]), np.array(["ab", "ü"], dtype=object)):
        assert model.run({"words": words})["twice"].tolist() == ["abab", "üü"]


def planted(monkeypatch, name: str, attach) -> None:
    """A provider that claims to be here."""
    provider = Provider(name, {}, frozenset(), lambda: None, attach)
    monkeypatch.setitem(catalogue.KNOWN, name, provider)


def test_a_provider_that_hands_its_nodes_to_the_cpu_is_refused(tmp_path, monkeypatch):
    # This build lists the Azure provider; it has no kernel for MatMul and would leave all of it to the CPU.
    planted(monkeypatch, "AzureExecutionProvider", lambda *_: ["AzureExecutionProvider"])
    file, _ = graphs.linear(tmp_path / "model.onnx")
    with pytest.raises(UnsupportedModelError):
        OnnxRuntime().load(file, provider="AzureExecutionProvider", threads=1)


def test_a_session_on_another_provider_than_asked_is_refused(tmp_path, monkeypatch):
    planted(monkeypatch, "CUDAExecutionProvider", lambda *_: ["CPUExecutionProvider"])
    monkeypatch.setattr(ort_session, "session_options", lambda *_: _Deaf())
    file, _ = graphs.linear(tmp_path / "model.onnx")
    with pytest.raises(UnsupportedModelError, match="the session runs on CPUExecutionProvider"):
        OnnxRuntime().load(file, provider="CUDAExecutionProvider", threads=1)


class _Deaf(ort.SessionOptions):
    """Does not hear that there must be no fallback."""

    def add_session_config_entry(self, key, value):
        pass


@pytest.mark.parametrize("name", READERS)
def test_an_unknown_option_or_value_names_those_there_are(name, tmp_path):
    file, _ = graphs.linear(tmp_path / "model.onnx")
    runtime = runtime_named(name)
    option, values = next(iter(runtime.options.items()))
    with pytest.raises(InvalidRequestError, match=f"no option 'colour'. It has .*{option}"):
        runtime.load(file, provider=READERS[name], threads=1, options={"colour": "blue"})
    with pytest.raises(InvalidRequestError, match=f"'blue'. It takes {', '.join(values)}"):
        runtime.load(file, provider=READERS[name], threads=1, options={option: "blue"})


def precisions_here() -> set[str]:
    """What OpenVINO says this processor computes in."""
    told = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return {{"FP32": "f32", "BF16": "bf16", "FP16": "f16"}.get(each, each) for each in told}


@pytest.mark.parametrize("name", READERS)
def test_every_value_of_every_option_gives_the_same_answer_or_is_refused(name, tmp_path):
    file, weights = graphs.linear(tmp_path / "model.onnx")
    runtime = runtime_named(name)
    for option, values in runtime.options.items():
        for value in values:
            chosen = {"provider": READERS[name], "threads": 2, "options": {option: value}}
            if option == "precision" and value not in precisions_here():
                with pytest.raises(UnsupportedModelError, match=f"{value} was asked for, but OpenVINO computes in f32"):
                    runtime.load(file, **chosen)
                continue
            model = runtime.load(file, **chosen)
            tolerance = 1e-5 if option not in runtime.numeric else 3e-2
            np.testing.assert_allclose(model.run({"features": rows(3)})["scores"], rows(3) @ weights, atol=tolerance)


def test_options_reach_the_session(tmp_path):
    file, _ = graphs.linear(tmp_path / "model.onnx")
    chosen = {"spinning": "off", "arena": "off", "memory_pattern": "off", "execution": "parallel"}
    model = OnnxRuntime().load(
        file,
        provider="CPUExecutionProvider",
        threads=2,
        options={**chosen, "optimization": "basic"},
    )
    options = model._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert (options.enable_cpu_mem_arena, options.enable_mem_pattern) == (False, False)
    assert options.execution_mode == ort.ExecutionMode.ORT_PARALLEL
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 2)
    assert options.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_BASIC


def test_placement_counts_the_nodes_that_ran_and_leaves_nothing_behind(subject, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    file = graphs.write(
        tmp_path / "model.onnx",
        [
            helper.make_node("MatMul", ["features", "weights"], ["hidden"]),
            helper.make_node("Softmax", ["hidden"], ["scores"]),
        ],
        [graphs.tensor("features", TensorProto.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", TensorProto.FLOAT, ["batch", 3])],
        weights={"weights": np.ones((4, 3), np.float32)},
    )
    before = sorted(tmp_path.iterdir())
    place = {"onnxruntime": "CPUExecutionProvider", "openvino": "CPU f32"}[subject.name]
    assert subject.placement(file, {"features": rows(2)}) == {place: 2}
    assert sorted(tmp_path.iterdir()) == before
    assert capfd.readouterr() == ("", "")


def test_placement_counts_a_node_in_a_loop_once(tmp_path):
    file = graphs.counting(tmp_path / "model.onnx", rounds=5)
    placed = OnnxRuntime().placement(
        file,
        provider="CPUExecutionProvider",
        threads=1,
        options={"optimization": "off"},
        inputs={"features": np.ones((2, 4), np.float32)},
    )
    assert placed == {"CPUExecutionProvider": 3}  # the loop, and the two nodes of its body


@pytest.mark.parametrize("name", READERS)
def test_nothing_is_sent_and_nothing_written_to_the_users_home(name, tmp_path):
    file, _ = graphs.linear(tmp_path / "model.onnx")
    code = (
        "import sys, pathlib\n"
        "network = []\n"
        "def hear(event, given):\n"
        "    network.extend([event] if event in {'socket.connect', 'socket.getaddrinfo'} else [])\n"
        "sys.addaudithook(hear)\n"
        "import numpy as np\n"
        "from onnxyard.runtimes.runtime import runtime_named\n"
        "model = runtime_named(sys.argv[1]).load(pathlib.Path(sys.argv[3]), provider=sys.argv[2], threads=1)\n"
        "model.run({'features': np.ones((2, 4), np.float32)})\n"
        "print(network)\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in {"CI", "XDG_CACHE_HOME"}}
    done = subprocess.run(
        [sys.executable, "-c", code, name, READERS[name], file],
        capture_output=True,
        text=True,
        check=True,
        env={**kept, "HOME": str(home)},
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert list(home.rglob("*")) == []


def test_openvino_computes_in_float32(tmp_path):
    file, weights = graphs.linear(tmp_path / "model.onnx")
    model = runtime_named("openvino").load(file, provider="CPU", threads=2)
    wide = np.random.default_rng(1).normal(size=(512, 4)).astype(np.float32)
    # bfloat16, OpenVINO's own choice on processors with AMX, is 3e-3 off.
    assert np.abs(model.run({"features": wide})["scores"] - wide @ weights).max() < 1e-5


def test_an_unknown_runtime_names_those_there_are():
    with pytest.raises(InvalidRequestError, match="onnxruntime, openvino"):
        runtime_named("tensorrt")


def test_a_runtime_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"onnxyard\[runtimes\]"):
        runtime_named("openvino")
