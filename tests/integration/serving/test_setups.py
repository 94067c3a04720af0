"""A version runs as it was measured: its runtime, its threads, its options; or not at all, and the old one stays."""

import json
import subprocess
import sys

import numpy as np
import pytest

from onnxyard.errors import UnsupportedModelError
from onnxyard.lifecycle.deployment import ReplicaState
from onnxyard.lifecycle.setup import Setup
from onnxyard.runtimes import rehearsal
from onnxyard.runtimes.openvino_package import openvino
from onnxyard_serving import loader as loaders
from onnxyard_serving.cache import STATE
from serving_home import scaled

from .test_following import X, answer_of, report_of, restart

ORT_TUNED = Setup("onnxruntime", "CPUExecutionProvider", 2, {"spinning": "off", "arena": "off"})
OPENVINO = Setup("openvino", "CPU", 1)
COMPUTES_BF16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def served_with(home, new_replica, setup):
    home.add_scaled(1, setup=setup)
    home.promote("scale", 1)
    replica = new_replica()
    replica.follower.follow()
    return replica


def test_options_of_onnx_runtime_are_applied(home, new_replica):
    replica = served_with(home, new_replica, ORT_TUNED)
    np.testing.assert_array_equal(answer_of(replica), scaled(X, 1))
    options = replica.endpoints.get("scale").serving().loaded._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert not options.enable_cpu_mem_arena
    assert options.intra_op_num_threads == 2


def test_openvino_serves_what_was_measured_with_it(home, new_replica):
    replica = served_with(home, new_replica, OPENVINO)
    np.testing.assert_allclose(answer_of(replica), scaled(X, 1), rtol=1e-6)
    said = report_of(home)
    assert (said.provider, said.precision, said.state) == ("CPU", "fp32", ReplicaState.SERVING)
    assert said.runtime.startswith("openvino 2026.")
    compiled = replica.endpoints.get("scale").serving().loaded._compiled
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32


def test_bfloat16_is_served_where_the_processor_computes_in_it_and_refused_elsewhere(home, new_replica):
    replica = served_with(home, new_replica, ORT_TUNED)
    home.add_scaled(2, setup=Setup("openvino", "CPU", 1, {"precision": "bf16"}))
    home.promote("scale", 2)
    replica.follower.follow()
    said = report_of(home)
    if COMPUTES_BF16:
        assert (said.version, said.precision) == (2, "bf16")
        loaded = replica.endpoints.get("scale").serving().loaded
        assert loaded._compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16
    else:
        assert (said.version, said.state) == (1, ReplicaState.REFUSED)
        assert "bf16 was asked for, but OpenVINO computes in f32 on this processor" in said.message
        np.testing.assert_array_equal(answer_of(replica), scaled(X, 1))


def test_a_runtime_that_the_replica_lacks_is_refused_and_the_old_model_stays(home, new_replica, monkeypatch):
    replica = served_with(home, new_replica, ORT_TUNED)
    home.add_scaled(2, setup=OPENVINO)
    home.promote("scale", 2)
    monkeypatch.setitem(sys.modules, "openvino", None)
    replica.follower.follow()
    np.testing.assert_array_equal(answer_of(replica), scaled(X, 1))
    said = report_of(home)
    assert (said.state, said.version) == (ReplicaState.REFUSED, 1)
    assert "OpenVINO is not installed. Install it with: pip install 'onnxyard[runtimes]'" in said.message


def test_a_restart_asks_after_the_version_of_the_runtime_that_serves(home, new_replica, monkeypatch):
    first = served_with(home, new_replica, OPENVINO)
    rehearsed = []
    real = rehearsal.rehearse
    monkeypatch.setattr(loaders, "rehearse", lambda *a, **k: rehearsed.append(k["setup"]) or real(*a, **k))
    second = restart(first, new_replica)
    np.testing.assert_allclose(answer_of(second), scaled(X, 1), rtol=1e-6)
    assert rehearsed == []
    state = second._cache._folder / STATE
    [entry] = json.loads(state.read_text())
    assert entry["assignment"]["setup"] == {"runtime": "openvino", "provider": "CPU", "threads": 1, "options": {}}
    state.write_text(json.dumps([{**entry, "runtime": "openvino 2025.1"}]))
    restart(second, new_replica)
    assert rehearsed == [OPENVINO]


@pytest.mark.parametrize("setup", [Setup("iree", "llvm-cpu", 1), Setup("nnef", "interpreter", 1)], ids=str)
def test_what_reads_no_onnx_is_not_deployed(home, setup):
    home.add_scaled(1, setup=setup)
    with pytest.raises(UnsupportedModelError, match=f"made for {setup.runtime}; Onnxyard's serving runs onnxruntime"):
        home.promote("scale", 1)


def test_a_replica_imports_openvino_only_to_serve_with_it():
    code = "import sys, onnxyard_serving.compose; print(sorted({'openvino', 'iree', 'nnef'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
