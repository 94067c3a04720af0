"""`onnxyard blame`, run as people run it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from graphs import greedy, linear
from onnxyard.bootstrap import Yard
from onnxyard.cli.main import main
from onnxyard.lifecycle.lineage import Lineage
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.version import ArtifactRole, Execution, VersionArtifact
from onnxyard.operations.register import register
from onnxyard.project.project import load_project
from onnxyard.settings import Settings
from onnxyard.stages.develop.request import DevelopRequest
from onnxyard.stages.develop.stage import run as develop
from onnxyard.stages.export.request import ExportRequest
from onnxyard.stages.export.stage import run as export
from onnxyard.stages.kept import KeptResults
from onnxyard.testing import sample_draft

MODULE = """
import numpy as np
import torch
from torch import nn

from onnxyard.project.data import Split, Splits


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.second = nn.Linear(8, 3)

    def forward(self, features):
        hidden = torch.tanh(self.first(features))
        return self.second(hidden)  # the planted place


def model(config):
    torch.manual_seed(0)
    return Network()


def data(config):
    values = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    return Splits(train=Split({"features": values}, (values[:, 0] > 0).astype(np.int64)))


def metrics(targets, outputs):
    return {"accuracy": float(np.mean(outputs["scores"].argmax(axis=1) == targets))}
"""
FILE = """
[project]
name = "small"
module = "small.py"
outputs = ["scores"]

[develop]
golden_rows = 8
threads = 1

[gates.quality]
accuracy = 0.0
"""
PLACE = f"small.py:{1 + next(at for at, text in enumerate(MODULE.splitlines()) if 'planted place' in text)}"


@pytest.fixture
def onnxyard(monkeypatch, capsys, tmp_path):
    """Run the command; its exit code, stdout and stderr."""
    for name in list(os.environ):
        if name.startswith(("ONNXYARD_", "MLFLOW_", "PREFECT_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["onnxyard", "blame", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return ended.value.code, written.out, written.err

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with its home, developed, exported and registered as small@1; and its graph with one weight changed."""
    root = tmp_path_factory.mktemp("blamed") / "project"
    root.mkdir()
    (root / "small.py").write_text(MODULE)
    (root / "onnxyard.toml").write_text(FILE)
    project, folder = load_project(root), root.parent / "work"
    yard = Yard(Settings.read(start=root, environ={}))
    project = yard.acquired(project)
    for name in ("develop", "export"):
        (folder / name).mkdir(parents=True)
    developed = develop(DevelopRequest(project), folder / "develop")
    request = ExportRequest(project, developed, folder / "develop/fitted", folder / "develop/golden_set", None)
    exported = export(request, folder / "export")
    kept = KeptResults(yard.settings.results, yard.store)
    for part in ("develop/fitted", "develop/golden_set", "export/model", "export/sidecar"):
        yard.store.put(folder / part)
    kept.keep("develop", DevelopRequest(project).key(), developed)
    kept.keep("export", request.key(), exported)
    execution = Execution("fp32", "fp32", Setup("onnxruntime", "CPUExecutionProvider", 1))
    draft = replace(
        sample_draft(),
        model="small",
        lineage=Lineage("torch 2.13.0", project.code_digest, "d" * 64, "c0ffee", (("export", request.key()),)),
        artifacts=(
            VersionArtifact(ArtifactRole.MODEL, "cpu", exported.model, 20, 10, execution),
            VersionArtifact(ArtifactRole.FITTED, "", developed.fitted),
            VersionArtifact(ArtifactRole.GOLDEN_SET, "", developed.golden_set),
            VersionArtifact(ArtifactRole.SIDECAR, "", exported.sidecar),
        ),
    )
    register(yard.unit_of_work, draft, actor="ann@host", now=datetime(2026, 11, 25, tzinfo=UTC))
    return root, spoil(folder / "export/model/model.onnx", root.parent / "spoiled.onnx")


def spoil(model_file, into):
    """A copy with one weight of the last layer changed."""
    model = onnx.load(model_file)
    node = [each for each in model.graph.node if each.op_type in {"Gemm", "MatMul"}][-1]
    weight = next(tensor for tensor in model.graph.initializer if tensor.name in node.input)
    values = numpy_helper.to_array(weight).copy()
    values.flat[5] += 0.25
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, into)
    return into


def test_a_project_whose_export_is_right(onnxyard, made):
    code, out, _ = onnxyard(made[0])
    assert code == 0
    assert out.startswith("Nothing differs beyond rounding")


def test_a_version_is_read_from_the_registry(onnxyard, made):
    code, out, _ = onnxyard("small@1", "--home", made[0] / ".onnxyard", "--json")
    document = json.loads(out)
    assert (code, document["verdict"], document["culprit"]) == (0, "same", None)
    assert (document["model"], document["rows"], document["paired"]["method"]) == ("small@1", 8, "identity")


def test_somebody_elses_conversion_is_judged_and_drawn(onnxyard, made, tmp_path):
    code, out, _ = onnxyard(made[0], "--against", made[1], "--plot", tmp_path / "error.svg")
    assert code == 1
    assert out.startswith(f"The first difference is made by aten.linear.default in the module second at {PLACE}: ")
    assert "second.weight differs in 1 of 24 values" in out
    assert "error out" in out
    drawing = ET.fromstring((tmp_path / "error.svg").read_text())  # noqa: S314 - we drew it
    named = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text") if text.get("class") == "named"]
    assert len(named) == 1
    assert PLACE in named[0]


def test_a_version_against_a_file(onnxyard, made):
    code, out, _ = onnxyard("small", "--home", made[0] / ".onnxyard", "--against", made[1], "--json")
    culprit = json.loads(out)["culprit"]
    assert (code, culprit["module"], culprit["source"]) == (1, "second", PLACE)
    assert 0.99 < culprit["share"] <= 1


def test_other_code_than_the_versions_is_refused(onnxyard, made, tmp_path):
    (tmp_path / "small.py").write_text(MODULE + "\n# changed\n")
    (tmp_path / "onnxyard.toml").write_text(FILE)
    code, _, told = onnxyard("small@1", "--home", made[0] / ".onnxyard", "--project", tmp_path)
    assert code == 5
    assert "not the code that small@1 was made of" in told
    assert "Check out c0ffee" in told


def test_a_version_without_its_code_says_where_to_name_it(onnxyard, made, tmp_path):
    home = tmp_path / "elsewhere"
    home.mkdir()
    for name in ("registry.sqlite", "artifacts"):
        (home / name).symlink_to(made[0] / ".onnxyard" / name)
    code, _, told = onnxyard("small@1", "--home", home)
    assert code == 4
    assert "--project DIR" in told


def test_two_files_without_a_project(onnxyard, tmp_path):
    one, _ = linear(tmp_path / "one.onnx")
    other, _ = linear(tmp_path / "other.onnx", scale=1.001)
    same, out, _ = onnxyard(one, "--against", one)
    assert (same, out.startswith("Nothing differs")) == (0, True)
    code, out, _ = onnxyard(one, "--against", other, "--json")
    document = json.loads(out)
    assert (code, document["culprit"]["op"], document["paired"]["method"]) == (1, "MatMul", "names")
    assert document["culprit"]["error_out"] == pytest.approx(1e-3, rel=0.01)


def test_inputs_of_ones_own(onnxyard, tmp_path):
    one, _ = linear(tmp_path / "one.onnx")
    other, _ = linear(tmp_path / "other.onnx", scale=2.0)
    np.savez(tmp_path / "zeros.npz", features=np.zeros((3, 4), dtype=np.float32))
    code, out, _ = onnxyard(one, "--against", other, "--inputs", tmp_path / "zeros.npz", "--json")
    assert (code, json.loads(out)["rows"]) == (0, 3)
    (tmp_path / "pickle.npz").write_bytes(b"no archive")
    code, _, told = onnxyard(one, "--against", other, "--inputs", tmp_path / "pickle.npz")
    assert code == 3
    assert "no inputs" in told


def test_a_file_alone_has_nothing_to_be_compared_with(onnxyard, tmp_path):
    one, _ = linear(tmp_path / "one.onnx")
    code, _, told = onnxyard(one)
    assert code == 3
    assert "--against" in told


def test_a_plot_needs_a_folder(onnxyard, tmp_path):
    one, _ = linear(tmp_path / "one.onnx")
    code, _, told = onnxyard(one, "--against", one, "--plot", tmp_path / "nowhere" / "error.svg")
    assert code == 3
    assert "no folder" in told


def test_a_hostile_file_is_never_opened_here(onnxyard, tmp_path):
    one, _ = linear(tmp_path / "one.onnx")
    code, _, told = onnxyard(one, "--against", greedy(tmp_path / "greedy.onnx"))
    assert code == 7
    assert "asks for 4.0 GiB" in told
    (tmp_path / "cut.onnx").write_bytes(one.read_bytes()[:-20])
    code, _, told = onnxyard(tmp_path / "cut.onnx", "--against", one)
    assert code == 8
