"""`[export.translations]`: a project brings the ONNX form of its own operator."""

from __future__ import annotations

import json

import onnx
import pytest
from small_project import FILE, MODULE, Way, write_project

from onnxyard.errors import UnsupportedModelError, UserCodeError

FIRST, LAST = MODULE.index("class Network"), MODULE.index("def model")
CUSTOM = """
@torch.library.custom_op("smallproject::soft_clip", mutates_args=())
def soft_clip(x: torch.Tensor, limit: float) -> torch.Tensor:
    return limit * torch.tanh(x / limit)


@soft_clip.register_fake
def _(x, limit):
    return torch.empty_like(x)


@soft_clip.register_kernel("cpu")
def _(x, limit):
    return limit * torch.tanh(x / limit)


soft_clip.register_autograd(lambda context, gradient: (gradient, None))


class Clip(nn.Module):
    def forward(self, x):
        return soft_clip(x, 3.0)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 32), Clip(), nn.Linear(32, 3))

    def forward(self, features):
        return self.body(features)


"""
WITH_CUSTOM = MODULE[:FIRST] + CUSTOM.lstrip("\n") + MODULE[LAST:]
TRANSLATIONS = """
from onnxscript import opset18 as op


def soft_clip(x, limit):
    return op.Mul(op.Tanh(op.Div(x, limit)), limit)


def halved(x, limit):
    return op.Div(x, 2.0)
"""


def project_with(root, translation):
    lines = f'\n[export.translations]\n"smallproject::soft_clip" = "{translation}"\n' if translation else ""
    root.mkdir()
    (root / "in_onnx.py").write_text(TRANSLATIONS)
    return write_project(root, module=WITH_CUSTOM, file=FILE + lines)


def line_of(text):
    return next(number for number, line in enumerate(WITH_CUSTOM.splitlines(), 1) if text in line)


def test_a_custom_operator_is_refused_without_a_translation_and_exported_with_one(tmp_path):
    place = f"small.py:{line_of('return soft_clip(x, 3.0)')}"
    way = Way(project_with(tmp_path / "without", ""), tmp_path / "refused").develop()
    with pytest.raises(
        UnsupportedModelError, match=r"smallproject.soft_clip.*the module 'body\.1' \(small\.Clip\)"
    ) as caught:
        way.export()
    assert caught.value.where == place

    way = Way(project_with(tmp_path / "with", "in_onnx.py:soft_clip"), tmp_path / "work").develop().export()
    assert way.exported.max_error < 1e-5
    assert any("smallproject::soft_clip" in remedy for remedy in way.exported.remedies)
    document = json.loads((tmp_path / "work" / "export" / "sidecar" / "sidecar.json").read_text())
    clip = [node for node in document["nodes"] if node["op"] == "Tanh"]
    assert [(node["module"], node["class"], node["source"]) for node in clip] == [("body.1", "small.Clip", place)]
    graph = onnx.load(tmp_path / "work" / "export" / "model" / "model.onnx").graph
    assert {node.domain for node in graph.node} <= {"", "ai.onnx"}


def test_a_translation_that_computes_something_else_is_not_taken(tmp_path):
    way = Way(project_with(tmp_path / "wrong", "in_onnx.py:halved"), tmp_path / "work").develop()
    with pytest.raises(UnsupportedModelError, match=r"with translations differs from the source") as caught:
        way.export()
    assert "doctor" in caught.value.remedy


def test_a_function_that_is_not_there_is_named(tmp_path):
    way = Way(project_with(tmp_path / "typo", "in_onnx.py:softclip"), tmp_path / "work").develop()
    with pytest.raises(UserCodeError, match=r"no function 'softclip' for the operator smallproject::soft_clip"):
        way.export()
