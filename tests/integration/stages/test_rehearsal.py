"""A rehearsal with models that would take down whoever loads them: the parent stays unharmed."""

from __future__ import annotations

import threading
import time

import numpy as np
import psutil
import pytest
from onnx import TensorProto, helper

import graphs
from onnxyard.errors import (
    ArtifactCorruptError,
    GateFailedError,
    InvalidRequestError,
    MissingExtraError,
    UnsupportedModelError,
)
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.runtimes.rehearsal import RehearsalLimits, RehearsalReport, rehearse
from onnxyard.tensors.files import write_tensors

ROWS = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
SIGNATURE = Signature((TensorSpec("features", "FLOAT", ("batch", 4)),), (TensorSpec("scores", "FLOAT", ("n", 3)),))


@pytest.fixture
def golden(tmp_path):
    """Inputs and what the linear model makes of them."""
    _, weights = graphs.linear(tmp_path / "unused" / "model.onnx")
    write_tensors(tmp_path / "inputs", {"features": ROWS})
    write_tensors(tmp_path / "expected", {"scores": ROWS @ weights})
    return {"inputs": tmp_path / "inputs", "expected": tmp_path / "expected"}


def descendants() -> set[psutil.Process]:
    """Rehearsing children; a database or server that other tests share is none of them."""
    return {child for child in psutil.Process().children(recursive=True) if "rehearsal_child" in _command(child)}


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


@pytest.mark.parametrize(("runtime", "provider"), [("onnxruntime", "CPUExecutionProvider"), ("openvino", "CPU")])
def test_reports_what_really_ran(tmp_path, golden, runtime, provider):
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx")
    report = rehearse(file, **golden, setup=Setup(runtime, provider, 1), signature=SIGNATURE)
    assert isinstance(report, RehearsalReport)
    assert report.runtime.split()[0] == runtime
    assert (report.provider, report.precision, report.rows) == (provider, "fp32", 6)
    assert 0 <= report.max_error < 1e-5


def test_options_are_those_of_the_setup(tmp_path, golden):
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx")
    with pytest.raises(InvalidRequestError, match="no option 'colour'"):
        rehearse(file, **golden, setup=Setup("onnxruntime", "CPUExecutionProvider", 1, {"colour": "blue"}))


def test_a_runtime_that_is_not_installed_in_the_child_names_its_extra(tmp_path, golden, monkeypatch):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "sitecustomize.py").write_text("import sys\nsys.modules['openvino'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "bare"))
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx")
    with pytest.raises(MissingExtraError, match="OpenVINO is not installed") as caught:
        rehearse(file, **golden, setup=Setup("openvino", "CPU", 1))
    assert caught.value.facts == {"extra": "runtimes"}


def test_starts_fast_and_without_torch(tmp_path, golden):
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx")
    began = psutil.Process().cpu_times()
    rehearse(file, **golden)
    ended = psutil.Process().cpu_times()
    # Processor time of children, so that a busy machine does not matter; importing torch alone takes over a second.
    assert ended.children_user - began.children_user < 1.0


def test_weights_in_a_file_of_their_own(tmp_path, golden):
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx", external=True)
    assert rehearse(file, **golden).rows == 6


def test_another_answer_than_expected_is_a_failed_gate(tmp_path, golden):
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx", scale=1.01)
    with pytest.raises(GateFailedError, match=r"replay differs in 'scores' by 0\.\d+"):
        rehearse(file, **golden)


def test_another_signature_is_refused(tmp_path, golden):
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx")
    other = Signature(SIGNATURE.inputs, (TensorSpec("scores", "FLOAT", ("n", 4)),))
    with pytest.raises(UnsupportedModelError, match="signature is not the recorded one"):
        rehearse(file, **golden, signature=other)


def test_a_missing_output_is_a_failed_gate(tmp_path, golden):
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx")
    write_tensors(golden["expected"], {"other": np.zeros((6, 3), np.float32)})
    with pytest.raises(GateFailedError, match="'other'"):
        rehearse(file, **golden)


def test_a_golden_set_that_does_not_fit_is_told(tmp_path, golden):
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx")
    write_tensors(golden["inputs"], {"features": np.zeros((6, 5), np.float32)})
    with pytest.raises(InvalidRequestError, match=r"\[6, 5\]"):
        rehearse(file, **golden)


@pytest.mark.parametrize("broken", ["model", "inputs", "expected", "rows"])
def test_broken_files_are_corrupt(tmp_path, golden, broken):
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx")
    if broken == "model":
        file.write_bytes(file.read_bytes()[:50])
    elif broken == "rows":
        write_tensors(golden["expected"], {"scores": np.zeros((0, 3), np.float32)})
    else:
        (golden[broken] / "index.json").write_text("{")
    with pytest.raises(ArtifactCorruptError):
        rehearse(file, **golden)


def test_an_endless_loop_is_stopped_by_the_clock(tmp_path, golden):
    file = graphs.endless(tmp_path / "model" / "model.onnx")
    with pytest.raises(UnsupportedModelError, match=r"did not finish its rehearsal in 3 s"):
        rehearse(file, **golden, limits=RehearsalLimits(wall_seconds=3))
    assert not descendants()


def test_an_endless_loop_is_stopped_by_its_processor_time(tmp_path, golden):
    file = graphs.endless(tmp_path / "model" / "model.onnx")
    with pytest.raises(UnsupportedModelError, match="limit of 2 s of processor time"):
        rehearse(file, **golden, limits=RehearsalLimits(cpu_seconds=2, wall_seconds=60))
    assert not descendants()


def test_a_model_that_asks_for_4_gib_is_refused(tmp_path, golden):
    file = graphs.greedy(tmp_path / "model" / "model.onnx")
    assert file.stat().st_size < 1000
    before = psutil.Process().memory_info().rss
    with pytest.raises(UnsupportedModelError):
        rehearse(file, **golden)
    assert psutil.Process().memory_info().rss - before < 50e6
    assert not descendants()


def test_constants_that_unfold_to_4_gib_at_load_are_refused(tmp_path, golden):
    file = graphs.write(
        tmp_path / "model" / "model.onnx",
        [
            helper.make_node(
                "ConstantOfShape", ["shape"], ["zeros"], value=helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
            ),
            helper.make_node("ReduceMax", ["zeros"], ["most"], keepdims=0),
            helper.make_node("Add", ["features", "most"], ["scores"]),
        ],
        [graphs.tensor("features", TensorProto.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", TensorProto.FLOAT, ["batch", 4])],
        weights={"shape": np.array([1 << 30], dtype=np.int64)},
    )
    with pytest.raises(UnsupportedModelError):
        rehearse(file, **golden)
    assert not descendants()


def test_a_child_that_is_killed_is_an_outcome(tmp_path, golden):
    file = graphs.endless(tmp_path / "model" / "model.onnx")
    stop = time.monotonic() + 30

    def kill() -> None:
        while time.monotonic() < stop:
            for child in descendants():
                child.kill()
                return
            threading.Event().wait(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(UnsupportedModelError, match="killed"):
        rehearse(file, **golden, limits=RehearsalLimits(wall_seconds=30))
    killer.join()


def test_nothing_in_the_working_folder_reaches_the_child(tmp_path, golden, monkeypatch):
    file, _ = graphs.linear(tmp_path / "model" / "model.onnx")
    (tmp_path / "numpy.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    assert rehearse(file, **golden).rows == 6
