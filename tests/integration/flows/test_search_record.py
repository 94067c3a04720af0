"""What MLflow is told of a search, by a recorder in memory and by MLflow itself, which refuses names and lengths."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.candidate import Ratio
from onnxyard.recording.mlflow_recorder import MlflowRecorder
from onnxyard.testing import InMemoryRecorder, sample_candidate, sample_latency, sample_result
from onnxyard_flows.search_record import tell_search

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    for name in ("report.html", "candidates.svg", "candidates.csv"):
        (folder / name).write_text(name)
    return folder


def told(report, *more, recorder=None):
    result = sample_result()
    result = replace(result, candidates=(*result.candidates, *more), report=Artifact.of_folder(report))
    recorder = recorder or InMemoryRecorder()
    with recorder.lifecycle(model="digits", tags={}) as lifecycle, lifecycle.stage("optimize") as stage:
        tell_search(stage, result, report=report)
    return recorder


def stage_of(recorder):
    return list(recorder.runs.values())[-1]


def test_every_candidate_is_told_with_its_figures_and_its_fate(report):
    stage = stage_of(told(report))
    chosen = "cpu/fp32 openvino precision bf16"
    assert stage.metrics[f"{chosen}/ratio"] == [(0, pytest.approx(0.392, abs=1e-3))]
    assert stage.metrics[f"{chosen}/p50_ms batch 8"] == [(0, pytest.approx(0.306))]
    assert stage.metrics["cpu/int8-qdq/drop_high"] == [(0, 0.014)]
    assert stage.tags["onnxyard.candidate.cpu/int8-dynamic"].startswith("failed: the quantizer failed")
    assert not any(name.startswith("cpu/int8-dynamic/") for name in stage.metrics)
    assert stage.params["chosen.cpu"] == "fp32 · openvino precision=bf16"
    assert stage.params["chosen.cpu.setup"] == "openvino 1 thread precision=bf16"
    assert set(stage.files) == {"report/report.html", "report/candidates.svg", "report/candidates.csv"}


def odd():
    long = "int8-qdq · " + "option=value " * 40
    latency = sample_latency(0.1, baseline_ms=0.2, high_ms=math.inf, ratio=Ratio(0.5, math.nan, 0.6))
    return (
        sample_candidate("a", name="a=b"),
        sample_candidate("a", name="a:b"),
        sample_candidate("a", name="../../etc//passwd @"),
        sample_candidate("a", name=long, note="crashed\n" * 2000),
        sample_candidate("a", name=long + "x", latencies=(latency,), ratio=Ratio(0.5, math.nan, 0.6)),
    )


def test_no_two_candidates_share_a_name_and_nothing_infinite_is_told(report):
    stage = stage_of(told(report, *odd()))
    tags = [name for name in stage.tags if name.startswith("onnxyard.candidate.")]
    assert len(tags) == len(sample_result().candidates) + len(odd())
    assert all(math.isfinite(value) for values in stage.metrics.values() for _, value in values)


# MLflow's own calls of SQLAlchemy 2.1.
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")
def test_mlflow_takes_all_of_it(report, tmp_path):
    recorder = MlflowRecorder(f"sqlite:///{tmp_path / 'mlflow.sqlite'}", artifacts=tmp_path / "artifacts")
    told(report, *odd(), recorder=recorder)
    assert len(list((tmp_path / "artifacts").rglob("report.html"))) == 1
