"""`onnxyard doctor`: exit codes, JSON, and remedies, for a project and for a file."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import helper
from small_project import FILE, MODULE, write_project
from typer.testing import CliRunner

import graphs
from onnxyard.cli.main import build

KEYS = {"code", "severity", "what", "module", "source", "node", "why", "remedy", "fix"}


SAMPLING = """

from torch.nn import functional


def grid_of(features):
    image = features[:, None, None, :]
    width = torch.linspace(-1, 1, 4).expand(features.shape[0], 1, 4)
    return image, torch.stack([width, torch.zeros_like(width)], dim=-1), "bilinear", "zeros", True
"""
"""Sampling an image at its own pixels: ONNX has an operator for that from opset 16 on."""


def run(*arguments):
    return CliRunner().invoke(build(), ["doctor", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("clean") / "project").root


def test_a_clean_project_in_json(clean):
    done = run(clean, "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == told["exit_code"] == 0
    assert (told["format"], told["kind"], told["subject"]) == (1, "project", "small")
    assert told["export"]["opset"] == 20
    assert [finding["code"] for finding in told["findings"]] == ["processing-outside"]
    assert set(told["findings"][0]) == KEYS


def test_a_clean_project_for_people(clean):
    done = run(clean)
    assert done.exit_code == 0
    assert "small: clean (1 note)" in done.stdout
    assert "note processing-outside  processing.py" in done.stdout


@pytest.mark.slow
def test_a_blocked_project_is_mended_where_that_can_be_proven(tmp_path):
    file = FILE.replace("[optimize]", "[export]\nopset = 8  # an old box\n\n[optimize]")
    module = MODULE.replace("self.body(features)", "self.body(functional.grid_sample(*grid_of(features)).flatten(1))")
    root = write_project(tmp_path / "project", module=module + SAMPLING, file=file).root
    done = run(root, "--json")
    assert done.exit_code == 7
    assert [finding["fix"] for finding in json.loads(done.stdout)["findings"] if finding["severity"] == "blocked"] == [
        "set-opset"
    ]
    done = run(root, "--json", "--fix")
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert [(remedy["code"], remedy["kept"]) for remedy in told["remedies"]] == [("opset-unreachable", True)]
    assert "opset = 18  # an old box" in (root / "onnxyard.toml").read_text()


def test_a_file(tmp_path):
    model, _ = graphs.linear(tmp_path / "linear.onnx")
    told = json.loads(run(model, "--json").stdout)
    assert (told["kind"], told["export"]) == ("file", None)
    assert told["exit_code"] in {0, 1}
    assert all(set(finding) == KEYS for finding in told["findings"])


def test_a_file_is_mended_beside_itself(tmp_path):
    model = graphs.write(
        tmp_path / "dead.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [graphs.tensor("x", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("y", graphs.FLOAT, ["batch", 3])],
        weights={"w": np.ones((4, 3), np.float32), "unused": np.ones((400, 300), np.float32)},
    )
    before = model.read_bytes()
    told = json.loads(run(model, "--json", "--fix").stdout)
    assert [remedy["kept"] for remedy in told["remedies"]] == [True]
    assert told["written"] == str(tmp_path / "dead.fixed.onnx")
    assert (tmp_path / "dead.fixed.onnx").stat().st_size < len(before)
    assert model.read_bytes() == before


def test_a_file_that_is_none_is_blocked(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"no model at all")
    done = run(file)
    assert done.exit_code == 7
    assert "blocked" in done.stdout


def test_a_file_for_an_old_onnx_runtime_is_mended_beside_it(tmp_path):
    file, _ = graphs.linear(tmp_path / "new.onnx")
    model = onnx.load(file)
    model.opset_import[0].version, model.ir_version = 17, 10
    onnx.save(model, file)
    before = file.read_bytes()
    assert run(file).exit_code == 0
    told = json.loads(run(file, "--json", "--onnxruntime", "1.14").stdout)
    assert told["exit_code"] == 1
    assert [each["code"] for each in told["findings"] if each["severity"] == "warning"] == ["above-ceiling"]
    fixed = json.loads(run(file, "--json", "--fix", "--onnxruntime", "1.14").stdout)
    assert (fixed["exit_code"], fixed["written"]) == (0, str(tmp_path / "new.fixed.onnx"))
    assert onnx.load(fixed["written"]).ir_version == 8
    assert file.read_bytes() == before
