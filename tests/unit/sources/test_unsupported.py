"""All that a module needs and no exporter knows, in one pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnxscript import opset18 as op
from torch import nn

from onnxyard.sources.torch.catalogue import catalogue, translation_table
from onnxyard.sources.torch.tree import SourceTree
from onnxyard.sources.torch.unsupported import missing

HERE = Path(__file__).resolve()


@torch.library.custom_op("unsupportedtest::frobnicate", mutates_args=())
def frobnicate(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@frobnicate.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Inner(nn.Module):
    def forward(self, x):
        third = x.kthvalue(2, 1).values  # kthvalue
        return torch.linalg.eigvalsh(x) + third  # eigh


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Inner(), Inner()

    def forward(self, x):
        y = self.second(frobnicate(x)) + self.first(x)  # frobnicate
        y = y + nn.functional.scaled_dot_product_attention(x, x, x).sum(1)  # three axes
        return torch.cond(y.sum() > 0, lambda rows: rows.cummax(1).values, lambda rows: rows.clone(), (y,))  # cummax


@pytest.fixture(scope="module")
def exported():
    x = torch.eye(3).expand(2, 3, 3).clone()
    return torch.export.export(Outer(), (x,), dynamic_shapes={"x": {0: torch.export.Dim("batch")}}, strict=False)


def line_of(marker):
    return next(number for number, line in enumerate(HERE.read_text().splitlines(), 1) if line.endswith(f"# {marker}"))


def test_every_place_is_told_with_its_module_and_line(exported):
    found = missing(exported, SourceTree((HERE.parent,)), {})
    assert {(one.operator, one.module, one.source) for one in found} == {
        (operator, module, f"{HERE.name}:{line_of(marker)}")
        for operator, module, marker in (
            ("aten::kthvalue", "second", "kthvalue"),
            ("aten::_linalg_eigh", "second", "eigh"),
            ("aten::kthvalue", "first", "kthvalue"),
            ("aten::_linalg_eigh", "first", "eigh"),
            ("unsupportedtest::frobnicate", "", "frobnicate"),
            ("aten::scaled_dot_product_attention", "", "three axes"),
            ("aten::cummax", "", "cummax"),
        )
    }
    assert [one.operator for one in found if one.custom] == ["unsupportedtest::frobnicate"]
    assert {one.kind.rpartition(".")[2] for one in found if one.module} == {"Inner"}
    assert "only 4D" in next(one.reason for one in found if "attention" in one.operator)


def test_translations_count_as_known(exported):
    def twice(x):
        return op.Mul(x, 2.0)

    table = translation_table({"unsupportedtest::frobnicate": twice}, opset=20, entries=catalogue())
    assert {one.operator for one in missing(exported, SourceTree((HERE.parent,)), table)} == {"aten::_linalg_eigh"}


def test_a_translation_that_does_not_fit_says_why(exported):
    def of_two(x, y):
        return op.Mul(x, y)

    table = translation_table({"unsupportedtest::frobnicate": of_two}, opset=20)
    reasons = [one.reason for one in missing(exported, SourceTree((HERE.parent,)), table) if one.custom]
    assert len(reasons) == 1
    assert "of_two() missing 1 required positional argument: 'y'" in reasons[0]


def test_a_module_that_exports_misses_nothing():
    exported = torch.export.export(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), (torch.ones(2, 3),))
    assert missing(exported, SourceTree(()), {}) == ()
