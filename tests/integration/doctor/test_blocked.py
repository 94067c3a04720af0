"""What blocks an export is told all at once: every branch, every operator, with module and line."""

from __future__ import annotations

import numpy as np
import planted
import pytest
import torch
from planted import Nest
from torch import nn
from tracing import HERE, line, spots

from onnxyard.diagnosis.doctor import Subject, examine

RANDOM = np.random.default_rng(5)


def floats(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def examined(module, example, **asked):
    examination = examine(Subject.of_module(module, example, roots=(HERE,), **asked))
    assert examination.proven is None
    assert examination.exit_code == 7
    return examination.findings


def test_every_branch_on_data_is_named_also_those_that_the_example_does_not_meet():
    found = examined(Nest(planted.TwoBranches()), {"x": np.abs(floats(3, 4))})
    places = [("inner", line(f"{which} branch")) for which in ("first", "second", "hidden")]
    assert spots(found, "data-dependent-branch") == places
    assert {finding.code for finding in found} == {"data-dependent-branch"}


def test_every_operator_without_a_translation_is_named_in_one_pass():
    found = examined(Nest(planted.TwoGaps()), {"x": floats(3, 4, 4)})
    assert [finding.code for finding in found] == ["unsupported-operator"] * 2
    assert spots(found, "unsupported-operator") == [("inner", line("first gap")), ("inner", line("second gap"))]


def test_operators_behind_a_branch_are_named_too():
    found = examined(nn.Sequential(planted.Branch(), planted.TwoGaps()), {"input": floats(3, 4, 4)})
    assert spots(found, "data-dependent-branch") == [("0", line("Branch"))]
    assert len(spots(found, "unsupported-operator")) == 2


def test_a_custom_operator_is_named_with_its_own_code():
    @torch.library.custom_op("onnxyard_doctor::frobnicate", mutates_args=())
    def frobnicate(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @frobnicate.register_fake
    def _(x):
        return torch.empty_like(x)

    found = examined(planted.Frobnicate(), {"x": floats(3, 4)})
    assert spots(found, "custom-operator") == [("", line("Frobnicate"))]
    assert "onnxyard_doctor::frobnicate" in found[0].what


@pytest.mark.parametrize(
    ("module", "outputs"),
    [(planted.Complex(), ("spectrum",)), (planted.Sometimes(), ("always", "never"))],
    ids=["complex", "optional"],
)
def test_an_output_that_no_graph_gives(module, outputs):
    found = examined(module, {"x": floats(3, 4)}, outputs=outputs)
    assert [finding.code for finding in found] == ["unsupported-output"]


@pytest.mark.slow
def test_an_opset_that_is_out_of_reach_with_the_one_that_works():
    example = {"x": floats(3, 2, 5, 5), "grid": RANDOM.uniform(-1, 1, (3, 4, 4, 2)).astype(np.float32)}
    found = examined(planted.AtOpset(), example, opset=11)
    assert [finding.code for finding in found] == ["opset-unreachable"]
    assert "[export] opset = 18" in found[0].remedy


def test_what_has_no_name_of_its_own_is_told_in_the_exporters_words():
    found = examined(planted.ByNumpy(), {"x": floats(3, 4)})
    assert found[0].code == "export-failed"


@pytest.mark.parametrize("kind", [planted.Fixed, planted.FixedForOne], ids=["for all", "for one"])
def test_an_axis_that_the_code_fixes_is_named_beside_the_refusal(kind):
    found = examined(Nest(kind()), {"x": floats(6, 4)})
    assert [finding.code for finding in found] == ["export-failed", "baked-axis"]
    assert spots(found, "baked-axis") == [("inner", line(kind.__name__))]


def test_a_model_without_any_of_it_is_not_blocked():
    examination = examine(Subject.of_module(Nest(planted.Spectrum()), {"x": floats(3, 8)}, roots=(HERE,)))
    assert examination.proven is not None
    assert examination.exit_code == 0
