"""Code, data and models that cannot be used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from e2e.bad_input.refusals import MODEL, change, copy, line_of, nothing_half_written, refused
from integration.flows.conftest import Project

if TYPE_CHECKING:
    from integration.flows.conftest import Ended

SPLITS = 'Splits(train=Split({"input": x}, sides))'
CASES = {
    "train raises": (
        "optimizer.step()",
        "raise RuntimeError('out of luck')",
        "train raised: RuntimeError: out of luck",
        "out of luck",
    ),
    "train returns the wrong type": (
        "return network",
        "return {'weights': 3}",
        "train returned a dict, not a torch.nn.Module.",
        "def train",
    ),
    "NaN": (
        f"return {SPLITS}",
        f"x[5, 1] = np.nan; return {SPLITS}",
        "Input 'input' of the train split holds NaN or infinity in 1 of 800 rows, first in row 5.",
        "def data",
    ),
    "empty split": (
        SPLITS,
        SPLITS[:-1] + ', test=Split({"input": x[:0]}, sides[:0]))',
        "The test split is empty.",
        "def data",
    ),
    "splits of different shapes": (
        SPLITS,
        SPLITS[:-1] + ', test=Split({"input": x[:, :3]}, sides))',
        "The test split looks different from train: input FLOAT[rows, 3] instead of input FLOAT[rows, 4].",
        "def data",
    ),
    "targets of another length": (
        SPLITS,
        SPLITS.replace("sides", "sides[1:]"),
        "Inputs and targets differ in rows: input 800, targets 799.",
        "sides[1:]",
    ),
    "rows that the model does not take": (
        "Linear(4, 8)",
        "Linear(5, 8)",
        "train raised: RuntimeError: mat1 and mat2 shapes cannot be multiplied",
        "cross_entropy(network(x)",
    ),
}
"""One change to the code each: before, after, what is said, and what the line says that is named."""


@pytest.fixture(scope="module")
def spoiled(live: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Project, Ended]]:
    """What came of each case; two run side by side."""
    projects = {}
    for case, (before, after, _, _) in CASES.items():
        projects[case] = copy(live, tmp_path_factory.mktemp("spoiled"))
        change(projects[case], before, after)
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip(projects, zip(projects.values(), pool.map(Project.run, projects.values()), strict=True), strict=True)
        )


@pytest.mark.parametrize("case", CASES)
def test_code_and_data_that_cannot_be_used_are_told_with_their_line(
    spoiled: dict[str, tuple[Project, Ended]], case: str
) -> None:
    project, ended = spoiled[case]
    _, _, detail, at = CASES[case]
    told = refused(ended, 3, "project-code-failed")
    assert told.detail.startswith(detail)
    assert told.where.partition(" ")[0] == f"blobs.py:{line_of(project, at)}"
    nothing_half_written(project)


def test_a_model_that_cannot_be_exported_names_operator_and_module(project: Project) -> None:
    airy = "class Airy(torch.nn.Module):\n    def forward(self, x):\n        "
    airy += "return torch.special.airy_ai(x.detach()) + x\n\n\n"
    change(project, "def model(config):", f"{airy}def model(config):")
    change(project, MODEL, MODEL.replace("torch.nn.ReLU()", "torch.nn.Sequential(torch.nn.Linear(8, 8), Airy())"))
    told = refused(project.run(), 7, "unsupported-model")
    assert "airy_ai" in told.context["operator"]
    assert told.context["module"] == "1.1"
    assert told.detail.startswith(f"The operator {told.context['operator']} ")
    assert "in the module '1.1' (blobs.Airy)" in told.detail
    assert told.where == f"blobs.py:{line_of(project, 'airy_ai')}"
    nothing_half_written(project)
