"""Providers that are libraries of their own: they run what they are asked to, or nothing runs."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import helper

import graphs
from onnxyard.errors import InvalidRequestError, MissingExtraError, UnsupportedModelError
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.runtimes.providers import qnn
from onnxyard.runtimes.providers.catalogue import provider_named
from onnxyard.runtimes.runtime import is_emulated, numeric_of, options_of, version_of

if TYPE_CHECKING:
    from pathlib import Path

QNN = "QNNExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)


def half_supported(path: Path) -> Path:
    """A MatMul, which every provider has, and a Det, which QNN and ONNX Runtime's CPU alone do not share."""
    return graphs.write(
        path,
        [
            helper.make_node("MatMul", ["features", "weights"], ["scores"]),
            helper.make_node("Reshape", ["scores", "square"], ["squares"]),
            helper.make_node("Det", ["squares"], ["volumes"]),
        ],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("volumes", graphs.FLOAT, ["batch"])],
        weights={
            "weights": np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32),
            "square": np.array([-1, 2, 2], np.int64),
        },
    )


def load(file: Path, provider: str, **options: str):
    return OnnxRuntime().load(file, provider=provider, threads=1, options=options)


def test_qnn_answers_any_batch_length_although_it_compiles_for_one(tmp_path):
    file, weights = graphs.linear(tmp_path / "model.onnx")
    model = load(file, QNN)
    assert model.provider == QNN
    assert model.runtime == version_of("onnxruntime", QNN)
    assert "onnxruntime-qnn 2." in model.runtime
    assert model.signature.inputs[0].shape == ("batch", 4)
    for count in (1, 3, 3, 2):
        answer = model.run({"features": rows(count)})["scores"]
        np.testing.assert_allclose(answer, rows(count) @ weights, atol=2e-2)  # an NPU computes floats in 16 bits
    with pytest.raises(InvalidRequestError, match=r"shape \[2, 3\]"):
        model.run({"features": rows(2)[:, :3]})


def test_qnn_is_emulated_where_there_is_no_npu_and_nothing_is_printed(tmp_path):
    assert is_emulated("onnxruntime", QNN) is qnn.emulated()
    assert not is_emulated("onnxruntime", "CPUExecutionProvider")
    assert not is_emulated("openvino", "CPU")
    assert is_emulated("nnef", "interpreter")
    file, _ = graphs.linear(tmp_path / "model.onnx")
    # The library prints when it is first used in a process.
    code = (
        "import sys, pathlib, numpy as np\n"
        "from onnxyard.runtimes.onnxruntime import OnnxRuntime\n"
        f"model = OnnxRuntime().load(pathlib.Path(sys.argv[1]), provider='{QNN}', threads=1)\n"
        "model.run({'features': np.ones((2, 4), np.float32)})\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_nodes_left_to_the_cpu_are_named_unless_that_is_allowed(tmp_path):
    file = half_supported(tmp_path / "model.onnx")
    with pytest.raises(UnsupportedModelError, match=rf"{QNN} leaves 1 of 3 nodes to the CPU: Det \(1\)\.") as caught:
        load(file, QNN)
    assert "fallback=allowed" in caught.value.remedy
    assert caught.value.facts["nodes"] == {"Det": 1}
    model = load(file, QNN, fallback="allowed")
    here = load(file, "CPUExecutionProvider").run({"features": rows(2)})["volumes"]
    np.testing.assert_allclose(model.run({"features": rows(2)})["volumes"], here, atol=5e-2)
    placed = OnnxRuntime().placement(
        file, provider=QNN, threads=1, options={"fallback": "allowed"}, inputs={"features": rows(2)}
    )
    assert placed == {QNN: 2, "CPUExecutionProvider": 1}


def test_what_runs_wholly_on_the_cpu_is_refused_even_where_falling_back_is_allowed(tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Det", ["squares"], ["volumes"])],
        [graphs.tensor("squares", graphs.FLOAT, ["batch", 2, 2])],
        [graphs.tensor("volumes", graphs.FLOAT, ["batch"])],
    )
    with pytest.raises(UnsupportedModelError, match="leaves 1 of 1 nodes to the CPU"):
        load(file, QNN, fallback="allowed")


def test_threads_that_register_at_once_get_the_same_devices():
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        return len(qnn.PLUG_IN.devices())

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(8)))
    assert found == {len(qnn.PLUG_IN.devices())}
    assert found != {0}


def test_openvinos_plug_in_runs_on_what_it_is_made_for_and_says_so_elsewhere(tmp_path):
    file, weights = graphs.linear(tmp_path / "model.onnx")
    provider = provider_named(OPENVINO)
    if (lack := provider.lack()) is None:
        model = load(file, OPENVINO)
        np.testing.assert_allclose(model.run({"features": rows(3)})["scores"], rows(3) @ weights, atol=1e-5)
        placed = OnnxRuntime().placement(file, provider=OPENVINO, threads=1, inputs={"features": rows(2)})
        assert placed == {OPENVINO: 1}
    else:
        assert lack.detail == f"{OPENVINO} finds no device here: it takes processors, GPUs and NPUs by Intel."
        with pytest.raises(UnsupportedModelError, match=lack.detail):
            load(file, OPENVINO)


def test_openvino_and_its_plug_in_live_in_one_process(tmp_path):
    file, _ = graphs.linear(tmp_path / "model.onnx")
    # Both bring the same libraries: whichever comes first, both must answer as before.
    code = (
        "import sys, pathlib, numpy as np\n"
        "from onnxyard.runtimes.providers.openvino import PLUG_IN\n"
        "from onnxyard.runtimes.runtime import runtime_named\n"
        "first, file = sys.argv[1], pathlib.Path(sys.argv[2])\n"
        "if first == 'plug-in':\n"
        "    PLUG_IN.devices()\n"
        "x = {'features': np.ones((2, 4), np.float32)}\n"
        "ov = runtime_named('openvino').load(file, provider='CPU', threads=1)\n"
        "before = ov.run(x)['scores']\n"
        "found = PLUG_IN.devices()\n"
        "ort = runtime_named('onnxruntime')\n"
        f"names = ['CPUExecutionProvider', *(['{OPENVINO}'] if found else [])]\n"
        "answers = [ort.load(file, provider=name, threads=1).run(x)['scores'] for name in names]\n"
        "again = runtime_named('openvino').load(file, provider='CPU', threads=1).run(x)['scores']\n"
        "assert all(np.allclose(each, before, atol=1e-5) for each in [*answers, again, ov.run(x)['scores']])\n"
    )
    for first in ("plug-in", "openvino"):
        done = subprocess.run([sys.executable, "-c", code, first, file], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("provider", "module", "extra"),
    [(QNN, "onnxruntime_qnn", "qnn"), (OPENVINO, "onnxruntime_ep_openvino", "runtimes")],
)
def test_a_plug_in_that_is_not_installed_names_its_extra(tmp_path, monkeypatch, provider, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    file, _ = graphs.linear(tmp_path / "model.onnx")
    with pytest.raises(MissingExtraError, match="which is not installed") as caught:
        load(file, provider)
    assert caught.value.remedy == f"Install it with: pip install 'onnxyard[{extra}]'"
    assert caught.value.facts == {"extra": extra}


def test_each_provider_has_options_of_its_own(tmp_path):
    assert options_of("onnxruntime", OPENVINO)["precision"] == ("f32", "bf16", "f16")
    assert "spinning" not in options_of("onnxruntime", QNN)
    assert "spinning" in options_of("onnxruntime", "CPUExecutionProvider")
    assert numeric_of("onnxruntime", QNN) == {"fallback"}
    file, _ = graphs.linear(tmp_path / "model.onnx")
    with pytest.raises(InvalidRequestError, match=f"{QNN} has no option 'spinning'. It has fallback"):
        load(file, QNN, spinning="off")
