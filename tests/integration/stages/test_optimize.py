"""Optimize: what becomes of every recipe is told, and the choice is made without the test split."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from small_project import FILE, MODULE, write_project

import graphs
from onnxyard.errors import GateFailedError, InvalidRequestError, MissingExtraError, UnsupportedModelError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.candidate import Outcome
from onnxyard.measuring import bench as bench_module
from onnxyard.project.data import Split, Splits
from onnxyard.project.project import Project
from onnxyard.runtimes.graph import read_graph
from onnxyard.stages.optimize import examiner, finals
from onnxyard.stages.optimize.stage import run


class Untouchable(Split):
    """A split that says so when anything reads it."""

    def __init__(self):
        super().__init__({"measured": np.zeros((1, 4), np.int32)}, np.zeros(1))

    def _refuse(self, *_):
        raise AssertionError("the test split was read")

    inputs = property(_refuse)
    targets = property(_refuse)
    batches = take = part = changed = __len__ = _refuse


@dataclass(frozen=True)
class Watched(Project):
    """A project whose data comes from a function of the test's."""

    splits: object = None

    def functions(self):
        return Observed(super().functions(), self.splits)


class Observed:
    def __init__(self, functions, change):
        self._functions, self._change = functions, change

    def __getattr__(self, name):
        return getattr(self._functions, name)

    def data(self):
        return self._change(self._functions.data())


def watched(project, change) -> Watched:
    return Watched(project.root, project.file, project.code_digest, splits=change)


def request_with(way, project):
    request = way.optimize_request()
    return type(request)(
        project, request.developed, request.exported, request.model, request.processing, request.machine
    )


@pytest.fixture(autouse=True, scope="module")
def short_blocks():
    """The machine's noise is not what is tested here: a few calls do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finals, "LAUNCHES", 2)
        patch.setattr(finals, "_FEWEST_ROUNDS", 2)
        patch.setattr(finals, "_MOST_ROUNDS", 2)
        patch.setattr(examiner, "ROUNDS", 3)
        yield


@pytest.fixture(scope="module")
def result(exported_way, tmp_path_factory):
    workspace, shelf = tmp_path_factory.mktemp("optimized"), tmp_path_factory.mktemp("shelf")
    told = []
    request = replace(exported_way.optimize_request(), shelf=shelf)
    return run(request, workspace, lambda step, metrics: told.append((step, dict(metrics)))), workspace, shelf, told


def by_name(made, target="cpu"):
    return {candidate.name: candidate for candidate in made.candidates if candidate.target == target}


def test_every_recipe_is_measured_and_one_is_chosen(result):
    made, *_ = result
    names = [candidate.name for candidate in made.candidates]
    assert names[0] == "fp32"
    assert {"int8-qdq", "int8-dynamic"} <= set(names)
    for candidate in made.candidates:
        assert candidate.target == "cpu"
        assert candidate.note
        if candidate.outcome is not Outcome.MEASURED:
            continue
        assert candidate.quality > 0.9
        (latency,) = candidate.latencies
        assert 0 < latency.low_ms <= latency.p50_ms * 1.5
        assert latency.p50_ms <= latency.p99_ms
        assert latency.cpu_ms > 0
        assert candidate.ratio.low <= candidate.ratio.value <= candidate.ratio.high
        assert candidate.memory_bytes >= 0
        assert candidate.load_ms > 0
        assert candidate.size_bytes > 0
        assert set(candidate.placement) == {"CPUExecutionProvider"}
    assert sum(candidate.chosen for candidate in made.candidates) == 1
    assert any(candidate.pareto for candidate in made.candidates)


def test_the_chosen_model_is_an_artifact_of_its_own(result):
    made, workspace, *_ = result
    (model,) = made.models
    chosen = next(candidate for candidate in made.candidates if candidate.chosen)
    assert (model.recipe, model.setup) == (chosen.recipe, chosen.setup)
    assert model.model == Artifact.of_folder(workspace / "model-cpu") == chosen.artifact
    graph = read_graph(workspace / "model-cpu" / "model.onnx")
    assert (model.precision, model.opset, model.ir_version) == (graph.precision, graph.opset, graph.ir_version)


def test_every_candidate_is_kept_with_a_report(result):
    made, workspace, *_ = result
    artifacts = {candidate.artifact.digest for candidate in made.candidates if candidate.artifact}
    folders = {f"candidate-{digest[:16]}" for digest in artifacts}
    assert {path.name for path in workspace.iterdir()} == {"model-cpu", "report", *folders}
    for digest in artifacts:
        assert Artifact.of_folder(workspace / f"candidate-{digest[:16]}").digest == digest
    assert made.report == Artifact.of_folder(workspace / "report")
    assert {file.path for file in made.report.files} == {"candidates.csv", "candidates.svg", "report.html"}


def test_progress_is_told(result):
    *_, told = result
    assert {"best ratio", "left", "seconds left"} <= set(told[0][1])
    assert any("finals" in metrics for _, metrics in told)


def test_nothing_is_made_twice(result, exported_way, tmp_path):
    _, _, shelf, _ = result
    before = {path: path.stat().st_ino for path in (shelf / "passes").glob("*/manifest.json")}
    assert before
    assert not list((shelf / "searches").glob("*"))  # the search is over
    run(replace(exported_way.optimize_request(), shelf=shelf), tmp_path)
    assert {path: path.stat().st_ino for path in (shelf / "passes").glob("*/manifest.json")} == before


def test_the_test_split_is_never_read(exported_way, tmp_path):
    def hide(splits):
        return Splits(
            train=splits.train, calibration=splits.calibration, validation=splits.validation, test=Untouchable()
        )

    made = run(request_with(exported_way, watched(exported_way.project, hide)), tmp_path)
    assert made.models
    with pytest.raises(AssertionError, match="test split was read"):
        Untouchable().batches(1)


def only(*recipes, more=""):
    named = 'recipes = ["fp32", "int8-qdq", "int8-dynamic"]'
    assert named in FILE
    return FILE.replace(named, f"recipes = {json.dumps(recipes)}") + more


def test_a_recipe_that_quantizes_nothing_says_so_and_is_never_chosen(exported_way, tmp_path):
    folder = tmp_path / "model"
    graphs.write(
        folder / "model.onnx",
        [
            helper.make_node("Sub", ["features", "features"], ["none"]),
            helper.make_node("Slice", ["features", "from", "to", "axis"], ["logits"]),
        ],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("logits", graphs.FLOAT, ["batch", 3])],
        weights={"from": np.array([0]), "to": np.array([3]), "axis": np.array([1])},
    )
    made = by_name(run(replace(exported_way.optimize_request(), model=folder), tmp_path))
    assert made["fp32"].chosen
    assert made["int8-dynamic"].note == "no node was quantized"
    assert made["int8-dynamic"].outcome is Outcome.REFUSED
    assert made["int8-dynamic"].quality is None


def test_a_candidate_that_crashes_its_runtime_is_an_outcome(exported_way, tmp_path, monkeypatch):
    real = bench_module.Bench.take

    def crashes(self, inputs, *, batch_size):
        if "int8" in self.file.parent.name:
            os.kill(self._worker._child.pid, signal.SIGSEGV)
        return real(self, inputs, batch_size=batch_size)

    monkeypatch.setattr(bench_module.Bench, "take", crashes)
    project = write_project(tmp_path / "project", file=only("fp32", "int8-qdq"))
    made = by_name(run(request_with(exported_way, project), tmp_path))
    assert made["int8-qdq"].outcome is Outcome.FAILED
    assert "SIGSEGV" in made["int8-qdq"].note
    assert made["fp32"].chosen


def test_a_candidate_that_loses_quality_is_passed_over(exported_way, tmp_path):
    # A metric that only the exact logits satisfy stands for a quality that rounding ruins.
    exacting = MODULE.replace(
        'return {"accuracy": float(np.mean(outputs["logits"].argmax(axis=1) == targets))}',
        'exact = np.abs(outputs["logits"] * 256 - np.rint(outputs["logits"] * 256)) > 1e-3\n'
        '    right = outputs["logits"].argmax(axis=1) == targets\n'
        '    return {"accuracy": float(np.mean(right & exact.all(axis=1)))}',
    )
    file = only("fp32", "int8-u8s8").replace("accuracy = 0.9\n", "accuracy = 0.0\n")
    project = write_project(tmp_path / "project", file=file, module=exacting)
    made = by_name(run(request_with(exported_way, project), tmp_path))
    assert made["fp32"].chosen
    assert not made["int8-u8s8"].chosen


def test_a_metric_the_project_lacks_is_named(exported_way, tmp_path):
    file = FILE.replace("[optimize]", '[optimize]\nmetric = "recall"').replace(
        "accuracy = 0.9\n", "recall = 0.9\naccuracy = 0.9\n"
    )
    project = write_project(tmp_path / "project", file=file)
    with pytest.raises(InvalidRequestError, match=r"'recall'.*They are accuracy"):
        run(request_with(exported_way, project), tmp_path)


@pytest.mark.parametrize("provider", ["CUDAExecutionProvider", "CoreMLExecutionProvider"])
def test_a_provider_that_is_not_here_is_refused_and_nothing_runs_on_the_cpu_instead(exported_way, tmp_path, provider):
    file = only("fp32", more=f'\n[targets.gpu]\nprovider = "{provider}"\n')
    with pytest.raises((UnsupportedModelError, MissingExtraError)) as caught:
        run(request_with(exported_way, write_project(tmp_path / "project", file=file)), tmp_path)
    assert caught.value.remedy


def test_the_search_chooses_among_a_targets_runtimes(exported_way, tmp_path):
    file = only(
        "fp32", "int8-qdq", more='\n[targets.cpu]\nruntime = ["onnxruntime", "openvino"]\nbatch_sizes = [4, 1]\n'
    )
    made = run(request_with(exported_way, write_project(tmp_path / "project", file=file)), tmp_path)
    found = by_name(made)
    assert {"fp32", "fp32 · openvino", "int8-qdq", "int8-qdq · openvino"} <= set(found)
    assert all(name.startswith("CPU ") for name in found["fp32 · openvino"].placement)
    assert [each.batch_size for each in found["fp32"].latencies] == [4, 1]
    assert (tmp_path / "model-cpu" / "model.onnx").is_file()


def test_targets_have_a_model_each(exported_way, tmp_path):
    file = only("fp32", more='\n[targets.cpu]\n\n[targets.ov]\nruntime = "openvino"\nprecision = ["fp32"]\n')
    made = run(request_with(exported_way, write_project(tmp_path / "project", file=file)), tmp_path)
    assert {model.target: model.setup.runtime for model in made.models} == {"cpu": "onnxruntime", "ov": "openvino"}
    assert not any("precision" in name for name in by_name(made, "ov"))


def test_a_precision_that_is_not_allowed_is_not_tried(exported_way, tmp_path):
    file = only("fp32", "ort-all", more='\n[targets.cpu]\nprecision = ["fp32"]\nportable = true\n')
    made = by_name(run(request_with(exported_way, write_project(tmp_path / "project", file=file)), tmp_path))
    assert {candidate.precision for candidate in made.values() if candidate.precision} == {"fp32"}
    refused = [each for each in made.values() if "outside the ONNX standard" in each.note]
    assert all(each.portable for each in made.values() if each.outcome is Outcome.MEASURED)
    assert {each.outcome for each in refused} <= {Outcome.REFUSED}


def test_a_named_recipe_that_fits_no_target_is_told_before_anything_is_made(exported_way, tmp_path):
    file = only("fp32", "int8-qdq", more='\n[targets.cpu]\nprecision = ["fp32"]\n')
    with pytest.raises(InvalidRequestError, match=r"'int8-qdq' gives nothing that a target takes.*int8"):
        run(request_with(exported_way, write_project(tmp_path / "project", file=file)), tmp_path)


def test_goals_that_no_candidate_meets_name_the_binding_one_and_the_nearest(exported_way, tmp_path):
    file = only("fp32", "int8-qdq", more="\n[targets.cpu]\nlatency_ms = 1e-6\n")
    with pytest.raises(GateFailedError, match="latency_ms") as caught:
        run(request_with(exported_way, write_project(tmp_path / "project", file=file)), tmp_path)
    assert caught.value.facts["binding"] == "latency_ms"
    assert any("fp32" in problem for problem in caught.value.facts["problems"])


def test_a_budget_too_small_to_measure_anything(exported_way, tmp_path):
    file = only("fp32").replace("[optimize]\n", "[optimize]\nbudget_s = 0.01\n")
    with pytest.raises(InvalidRequestError, match=r"budget_s = 0\.01 is too small"):
        run(request_with(exported_way, write_project(tmp_path / "project", file=file)), tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda split: Split({"measured": np.ones((64, 4), np.int32)}, split.targets), "constant"),
        (lambda split: Split({"measured": np.ones((64, 5), np.int32)}, split.targets), "do not fit the model"),
    ],
)
def test_calibration_data_that_cannot_serve(exported_way, tmp_path, change, said):
    def spoil(splits):
        return Splits(
            train=splits.train,
            calibration=change(splits.calibration),
            validation=splits.validation,
            test=splits.test,
        )

    with pytest.raises(InvalidRequestError, match=said):
        run(request_with(exported_way, watched(exported_way.project, spoil)), tmp_path)


def test_a_search_that_was_killed_goes_on_where_it_was(exported_way, tmp_path, monkeypatch):
    project = write_project(tmp_path / "project", file=only("fp32", "int8-qdq", "int8-dynamic"))
    request = replace(request_with(exported_way, project), shelf=tmp_path / "shelf")
    loads = []
    real = bench_module.Bench.__init__

    def counted(self, file, setup, **given):
        loads.append(Path(file).parent.name)
        real(self, file, setup, **given)

    class Killed(BaseException):
        pass

    def kill(step, _metrics):
        if step >= 3:
            raise Killed

    monkeypatch.setattr(bench_module.Bench, "__init__", counted)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with pytest.raises(Killed):
        run(request, first, kill)
    assert list((tmp_path / "shelf" / "searches").glob("*.jsonl"))
    examined = loads.copy()
    loads.clear()
    made = run(request, second)
    assert {"int8-qdq", "int8-dynamic"} <= {candidate.recipe for candidate in made.candidates}
    assert examined.count("int8-qdq") == 1
    assert loads.count("int8-qdq") < finals.LAUNCHES + 1  # in the finals at most: it was examined before
