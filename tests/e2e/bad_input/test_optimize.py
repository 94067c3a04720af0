"""Goals that cannot be met, data that cannot serve, runtimes that are not here: told once, and what was live stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.bad_input.refusals import change, nothing_half_written, refused

if TYPE_CHECKING:
    from integration.flows.conftest import Project


def add(project: Project, text: str) -> None:
    file = project.folder / "onnxyard.toml"
    file.write_text(f"{file.read_text()}\n{text}\n")


def test_goals_that_no_candidate_meets(project: Project) -> None:
    add(project, "[targets.cpu]\nlatency_ms = 1e-6")
    told = refused(project.run(), 6, "gate-failed")
    assert told.context["binding"] == "latency_ms"
    assert "the one that binds is latency_ms" in told.detail
    assert told.where == "[targets] latency_ms"
    problems = told.context["problems"]
    assert isinstance(problems, list)
    assert any(problem.startswith("fp32: latency_ms: ") for problem in problems)
    nothing_half_written(project)


def test_a_budget_too_small_to_measure_anything(project: Project) -> None:
    project.edit("[optimize]", "[optimize]\nbudget_s = 0.001")
    told = refused(project.run(), 3, "invalid-request")
    assert told.where == "[optimize] budget_s"
    assert "too small to measure anything" in told.detail
    assert told.remedy.startswith("Give it at least ")
    nothing_half_written(project)


def test_calibration_data_that_is_constant(project: Project) -> None:
    change(
        project,
        'return Splits(train=Split({"input": x}, sides))',
        "part = Split({'input': x[:200]}, sides[:200])\n"
        "    same = Split({'input': np.zeros_like(x[:50])}, sides[:50])\n"
        "    return Splits(train=part, calibration=same, validation=part, test=part)",
    )
    project.edit('"int8-dynamic"', '"int8-qdq"')
    told = refused(project.run(), 3, "invalid-request")
    assert "constant" in told.detail
    assert "calibration split" in told.where
    nothing_half_written(project)


def test_a_recipe_that_does_not_exist_is_told_before_anything_runs(project: Project) -> None:
    project.edit('"int8-dynamic"', '"int8-dynamics"')
    told = refused(project.run(), 3, "invalid-project-file")
    problems = told.context["problems"]
    assert isinstance(problems, list)
    assert "there is no recipe 'int8-dynamics'; did you mean 'int8-dynamic'?" in problems[0]
    nothing_half_written(project)


@pytest.mark.parametrize(
    ("target", "code", "kind", "said"),
    [
        ('provider = "DmlExecutionProvider"', 7, "unsupported-model", "Windows"),
        ('provider = "CoreMLExecutionProvider"', 7, "unsupported-model", "macOS"),
    ],
)
def test_a_provider_that_is_not_here_is_refused(project: Project, target: str, code: int, kind: str, said: str) -> None:
    add(project, f"[targets.other]\n{target}")
    told = refused(project.run(), code, kind)
    assert said in f"{told.detail} {told.remedy}"
    nothing_half_written(project)
