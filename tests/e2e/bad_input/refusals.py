"""What every test of bad input asks: one clear message, the right exit code, and nothing half-written."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integration.flows.conftest import Ended, Project
from onnxyard.ports.unit_of_work import RunState

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE_SECONDS = 60
OWN_WORDS = "the project's own words\n"
MODEL = "torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))"


@dataclass(frozen=True)
class Refusal:
    """How a command refused: its JSON, taken apart."""

    detail: str
    where: str
    remedy: str
    context: dict[str, object]


def copy(live: Project, into: Path) -> Project:
    """The project with its home, free to be broken."""
    folder = into / live.folder.name
    shutil.copytree(live.folder, folder)
    return Project(folder, live.environ)


def change(project: Project, before: str, after: str) -> None:
    """Change the project's code."""
    module = project.folder / "blobs.py"
    text = module.read_text()
    assert text.count(before) == 1
    module.write_text(text.replace(before, after))


def line_of(project: Project, text: str) -> int:
    """Where the project's code says it."""
    lines = (project.folder / "blobs.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def refused(ended: Ended, code: int, kind: str) -> Refusal:
    """The command ended with this error, and said so in one message and one JSON document and nothing else."""
    assert ended.code == code, ended.stdout + ended.stderr
    document = ended.document
    assert list(document) == ["error"]
    error = document["error"]
    assert error["code"] == kind
    assert said(ended) == rendered(error), ended.stderr
    context = error["context"]
    assert context["remedy"]
    return Refusal(error["detail"], context.get("where", ""), context["remedy"], context)


def rendered(error: dict) -> str:
    """The message that stands for an error on stderr."""
    context = error["context"]
    lines = [f"{error['title']}: {error['detail']}"]
    lines += [f"  where: {context['where']}"] if "where" in context else []
    lines += [f"  - {problem}" for problem in context.get("problems", [])]
    lines += [f"  next:  {context['remedy']}"] if "remedy" in context else []
    return "\n".join(lines) + "\n"


def said(ended: Ended) -> str:
    """Stderr without what the project's own code printed."""
    return ended.stderr.replace(OWN_WORDS, "")


def nothing_half_written(project: Project, *, versions: int = 1) -> None:
    """What was live still is, alone and whole; whatever was begun has ended and left no rest."""
    settings, store = project.settings, project.yard.store
    with project.yard.unit_of_work() as work:
        registered = work.versions.of_model("blobs")
        assert {version.number for version in registered} == set(range(1, versions + 1))
        assert [deployment.version for deployment in work.deployments.current("blobs")] == [1]
        assert work.deployments.generation("blobs") == 1
        assert RunState.RUNNING not in {run.state for run in work.runs.of_model("blobs")}
    for manifest in (settings.artifacts / "manifests").glob("*/*"):
        store.verify(manifest.name)
    for version in registered:
        for each in version.draft.artifacts:
            store.verify(each.artifact.digest)
    assert not (settings.workspaces / "blobs").exists()
    assert list((settings.artifacts / "staging").iterdir()) == []
    assert not (settings.artifacts / "quarantine").exists()
    assert list(settings.home.rglob("*.part")) == []
    for kept in (settings.prefect / "results").iterdir():
        json.loads(kept.read_bytes())


def kept_results(project: Project) -> dict[str, int]:
    """The results that stages left, with the time of their last change."""
    return {path.name: path.stat().st_mtime_ns for path in (project.settings.prefect / "results").iterdir()}
