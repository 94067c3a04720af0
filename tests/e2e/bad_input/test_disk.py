"""A full disk."""

from __future__ import annotations

import resource
import shutil
from typing import TYPE_CHECKING

import pytest

from e2e.bad_input.refusals import MODEL, change, nothing_half_written, refused
from integration.flows.conftest import Ended

if TYPE_CHECKING:
    from integration.flows.conftest import Project


def run_with_files_up_to(project: Project, size: int) -> Ended:
    """`onnxyard run DIR --json` on a disk on which no file can grow beyond `size` bytes."""
    process = project.start("run", str(project.folder), "--json")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))  # Python is still starting
    stdout, stderr = process.communicate(timeout=180)
    return Ended(process.returncode, stdout, stderr)


@pytest.fixture
def large(project: Project) -> Project:
    """The project with a model larger than every database under its home."""
    change(project, MODEL, MODEL.replace("(8, 2)", "(8, 40000), torch.nn.Linear(40000, 2)"))
    project.edit("epochs = 40", "epochs = 2")
    project.edit("size_bytes = 100000", "size_bytes = 100000000\nmax_error = 1.0")  # sums of 40,000 terms
    project.edit("accuracy = 0.9", "accuracy = 0.4")
    return project


def test_a_full_disk_and_what_comes_after(large: Project) -> None:
    databases = max(file.stat().st_size for file in large.settings.home.glob("*.sqlite"))
    for size in (databases - (1 << 16), databases + (1 << 18)):  # MLflow's database; the weights
        told = refused(run_with_files_up_to(large, size), 75, "storage-full")
        assert told.where
        assert "space" in told.remedy
        nothing_half_written(large)
    done = large.run()
    assert done.code == 0, done.stderr
    assert (done.document["version"], done.document["generation"]) == (2, 2)


@pytest.mark.parametrize("size", [1 << 16, 1 << 18], ids=["registry", "mlflow"])
def test_a_full_disk_at_the_very_first_run(project: Project, size: int) -> None:
    shutil.rmtree(project.settings.home)
    refused(run_with_files_up_to(project, size), 75, "storage-full")
