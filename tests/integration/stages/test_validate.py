"""Validate: for every gate a planted fault that fails it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from small_project import FILE, PROCESSING, Way, write_project
from test_optimize import watched

from onnxyard.errors import InvalidRequestError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.gate import GateOutcome
from onnxyard.profile.reference import read_reference
from onnxyard.project.data import Split, Splits
from onnxyard.runtimes.rehearsal import rehearse
from onnxyard.stages.validate.stage import run
from onnxyard.tensors.files import read_tensors

ALL = {
    "processing",
    "parity@cpu",
    "flips@cpu",
    "quality:accuracy@cpu",
    "quality-drop:accuracy@cpu",
    "latency:p99_ms@cpu",
    "size@cpu",
}


@pytest.fixture(scope="session")
def way(exported_way):
    return exported_way.optimize()


@pytest.fixture
def request_(way):
    return way.validate_request()


def gates(request, workspace):
    return {gate.name: gate for gate in run(request, workspace).gates}


def failed(judged) -> set[str]:
    return {name for name, gate in judged.items() if not gate.passed}


def with_model(request, tmp_path, change, *, recipe="fp32", source=None):
    """The request with its chosen model changed."""
    folder = tmp_path / "planted"
    shutil.copytree(source or request.models["cpu"], folder)
    model = onnx.load(folder / "model.onnx")
    change(model)
    onnx.save(model, folder / "model.onnx")
    (chosen,) = request.optimized.models
    planted = replace(
        chosen, recipe=recipe, precision="fp32" if recipe == "fp32" else "int8", model=Artifact.of_folder(folder)
    )
    optimized = replace(request.optimized, models=(planted,))
    return replace(request, models={"cpu": folder}, optimized=optimized)


def with_file(request, tmp_path, old, new):
    assert old in FILE
    project = write_project(tmp_path / "other", file=FILE.replace(old, new))
    return replace(request, project=project)


def source_model(way):
    return way.workspace / "export" / "model"


def scale_weights(factor):
    """Scale the last layer's weights."""

    def change(model):
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if tensor.name == "body.2.weight":
                tensor.CopyFrom(numpy_helper.from_array((array * factor).astype(np.float32), tensor.name))

    return change


def test_a_sound_version_passes_every_gate(request_, tmp_path):
    result = run(request_, tmp_path)
    assert {gate.name for gate in result.gates} == ALL
    assert result.passed
    for gate in result.gates:
        assert gate.detail
        assert json.dumps([gate.observed, gate.threshold, gate.bound], allow_nan=False)
    quality = next(gate for gate in result.gates if gate.name.startswith("quality:"))
    assert quality.threshold <= quality.bound < quality.observed
    assert quality.rows == 400


def test_perturbed_weights_fail_parity(way, request_, tmp_path):
    judged = gates(with_model(request_, tmp_path, scale_weights(1.01), source=source_model(way)), tmp_path / "work")
    assert failed(judged) == {"parity@cpu"}
    assert judged["parity@cpu"].observed > judged["parity@cpu"].threshold


def test_an_export_that_was_off_fails_parity_also_when_quantized(way, request_, tmp_path):
    request = with_model(request_, tmp_path, lambda _model: None, recipe="int8-qdq", source=source_model(way))
    request = replace(request, exported=replace(request.exported, max_error=0.5))
    judged = gates(request, tmp_path / "work")
    assert judged["parity@cpu"].observed == 0.5
    assert failed(judged) == {"parity@cpu"}


def test_a_dropped_last_row_fails_parity_and_flips(way, request_, tmp_path):
    def drop(model):
        model.graph.node[-1].output[0] = "all"
        for name, value in (("from", 0), ("to", -1), ("axis", 0)):
            model.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
        model.graph.node.append(helper.make_node("Slice", ["all", "from", "to", "axis"], ["logits"]))
        model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "fewer"

    request = with_model(request_, tmp_path, drop, recipe="int8-qdq", source=source_model(way))
    with_rows_lost = gates(request, tmp_path / "work")
    assert failed(with_rows_lost) == {"parity@cpu", "flips@cpu", "quality:accuracy@cpu", "quality-drop:accuracy@cpu"}
    assert "398 rows of 'logits' for 400 rows" in with_rows_lost["quality:accuracy@cpu"].detail
    assert "another shape" in with_rows_lost["parity@cpu"].detail


def test_a_batch_length_baked_in_fails_parity(way, request_, tmp_path):
    """All golden rows at once it answers as it should; one row it does not take."""

    def bake(model):
        model.graph.node[-1].output[0] = "free"
        for name, value in (("one", np.array(1)), ("zero", np.array(0, np.float32))):
            model.graph.initializer.append(numpy_helper.from_array(value, name))
        second = helper.make_node("Gather", ["free", "one"], ["second"], axis=0)
        nothing = helper.make_node("Mul", ["second", "zero"], ["nothing"])
        model.graph.node.extend([second, nothing, helper.make_node("Add", ["free", "nothing"], ["logits"])])

    judged = gates(with_model(request_, tmp_path, bake, source=source_model(way)), tmp_path / "work")
    assert failed(judged) == {"parity@cpu", "latency:p99_ms@cpu"}  # the target's batch is one row
    assert "batches of one row" in judged["parity@cpu"].detail


def test_other_decisions_fail_flips_quality_and_drop(way, request_, tmp_path):
    request = with_model(request_, tmp_path, scale_weights(-1.0), recipe="int8-qdq", source=source_model(way))
    judged = gates(request, tmp_path / "work")
    assert failed(judged) == {"flips@cpu", "quality:accuracy@cpu", "quality-drop:accuracy@cpu"}
    assert {judged[name].outcome for name in failed(judged)} == {GateOutcome.FAILED}


def test_a_wrong_preprocess_constant_fails(request_, tmp_path):
    folder = tmp_path / "processing"
    folder.mkdir()
    (folder / "processing.py").write_text(PROCESSING.replace("/ 10", "/ 1000"))
    judged = gates(replace(request_, processing=folder), tmp_path / "work")
    assert {"processing", "quality:accuracy@cpu"} <= failed(judged)
    assert "preprocess gives 'features' otherwise" in judged["processing"].detail


def test_a_wrong_postprocess_fails(request_, tmp_path):
    folder = tmp_path / "processing"
    folder.mkdir()
    (folder / "processing.py").write_text(PROCESSING.replace("argmax", "argmin"))
    judged = gates(replace(request_, processing=folder), tmp_path / "work")
    assert failed(judged) == {"processing"}
    assert "postprocess gives 'label' otherwise" in judged["processing"].detail


def test_a_quality_out_of_reach_fails(request_, tmp_path):
    judged = gates(with_file(request_, tmp_path, "accuracy = 0.9\n", "accuracy = 1.5\n"), tmp_path / "work")
    assert judged["quality:accuracy@cpu"].outcome is GateOutcome.FAILED
    assert failed(judged) == {"quality:accuracy@cpu"}


def test_a_quality_the_rows_cannot_prove_is_underpowered_and_does_not_pass(request_, tmp_path):
    observed = gates(request_, tmp_path / "first")["quality:accuracy@cpu"].observed
    request = with_file(request_, tmp_path, "accuracy = 0.9\n", f"accuracy = {observed}\n")
    result = run(request, tmp_path / "work")
    gate = next(gate for gate in result.gates if gate.name == "quality:accuracy@cpu")
    assert gate.outcome is GateOutcome.UNDERPOWERED
    assert "too few to decide" in gate.detail
    assert not result.passed


def test_a_handful_of_rows_is_underpowered(way, request_, tmp_path):
    def fewer(splits):
        return Splits(
            train=splits.train, calibration=splits.calibration, validation=splits.validation, test=splits.test.take(20)
        )

    project = watched(way.project, fewer)
    small = Way(project, tmp_path / "way").develop()
    request = replace(request_, project=project, developed=small.developed)
    judged = gates(request, tmp_path / "work")
    assert failed(judged) == {"quality:accuracy@cpu", "quality-drop:accuracy@cpu"}
    assert {judged[name].outcome for name in failed(judged)} == {GateOutcome.UNDERPOWERED}
    assert {judged[name].rows for name in failed(judged)} == {20}


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("p99_ms = 50.0", "p99_ms = 0.000001", "latency:p99_ms@cpu"),
        ("size_bytes = 100_000", "size_bytes = 100", "size@cpu"),
    ],
)
def test_a_limit_that_is_not_held_fails(request_, tmp_path, old, new, name):
    judged = gates(with_file(request_, tmp_path, old, new), tmp_path / "work")
    assert failed(judged) == {name}
    assert judged[name].unit in {"ms", "bytes"}


def test_gates_that_are_not_declared_are_not_judged(request_, tmp_path):
    request = with_file(request_, tmp_path, "p99_ms = 50.0\nsize_bytes = 100_000\n", "")
    assert set(gates(request, tmp_path / "work")) == ALL - {"latency:p99_ms@cpu", "size@cpu"}


def test_other_data_than_develop_saw_is_refused(way, request_, tmp_path):
    def other(splits):
        test = splits.test
        inputs = {"measured": test.inputs["measured"].copy()}
        inputs["measured"][7, 2] += 1
        return Splits(
            train=splits.train,
            calibration=splits.calibration,
            validation=splits.validation,
            test=Split(inputs, test.targets),
        )

    request = replace(request_, project=watched(way.project, other))
    with pytest.raises(InvalidRequestError, match="not what the model was developed on"):
        run(request, tmp_path)


def test_a_metric_the_project_lacks_is_named(request_, tmp_path):
    request = with_file(request_, tmp_path, "[gates.quality]\n", "[gates.quality]\nrecall = 0.5\n")
    with pytest.raises(InvalidRequestError, match=r"'recall'.*They are accuracy"):
        run(request, tmp_path / "work")


def test_the_reference_is_the_test_split_as_the_endpoint_would_log_it(way, request_, tmp_path):
    result = run(request_, tmp_path)
    assert result.reference == Artifact.of_folder(tmp_path / "reference")
    reference = read_reference(tmp_path / "reference")
    assert reference.rows == 400
    assert reference.layout.names == ("a", "b", "c", "d", "label")
    raw = way.project.functions().data().test.inputs["measured"]
    np.testing.assert_array_equal(reference.columns["b"], raw[:, 1])
    assert set(reference.columns["label"]) == {"0", "1", "2"}


def test_the_expected_outputs_are_what_a_replay_gives(request_, tmp_path):
    run(request_, tmp_path)
    expected = tmp_path / "reference" / "expected-cpu"
    golden = read_tensors(request_.golden_set / "outputs")
    assert read_tensors(expected)["logits"].shape == golden["logits"].shape
    report = rehearse(
        request_.models["cpu"] / "model.onnx",
        inputs=request_.golden_set / "inputs",
        expected=expected,
        signature=request_.exported.signature,
    )
    assert report.max_error == 0.0


def test_every_target_is_judged_on_its_own(tmp_path):
    file = FILE + '\n[targets.cpu]\nthreads = 1\n\n[targets.ov]\nruntime = "openvino"\nthreads = 1\n'
    way = Way(write_project(tmp_path / "project", file=file), tmp_path / "way")
    way.develop().export().optimize()
    result = run(way.validate_request(), tmp_path / "work")
    assert {gate.name.partition("@")[2] for gate in result.gates if gate.name != "processing"} == {"cpu", "ov"}
    assert result.passed
    assert {path.name for path in (tmp_path / "work" / "reference").iterdir() if path.name.startswith("expected")} == {
        "expected-cpu",
        "expected-ov",
    }
