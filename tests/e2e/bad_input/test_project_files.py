"""A project that is not there, or whose file holds mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.bad_input.refusals import nothing_half_written, refused

if TYPE_CHECKING:
    from pathlib import Path

    from integration.flows.conftest import Project


def test_no_such_project(project: Project) -> None:
    told = refused(project.command("run", "nowhere", "--json", cwd=project.folder), 4, "not-found")
    assert "nowhere" in told.detail + told.where
    assert "onnxyard init" in told.remedy
    assert not (project.folder / "nowhere").exists()
    nothing_half_written(project)


def test_no_project_anywhere_near(project: Project, tmp_path: Path) -> None:
    refused(project.command("run", str(tmp_path / "nowhere"), "--json"), 4, "not-found")
    assert not (tmp_path / "nowhere").exists()


def test_every_mistake_of_the_project_file_is_told_with_its_line(project: Project) -> None:
    project.edit('name = "blobs"\n', "")  # missing
    project.edit("repeats = 20", 'repeats = "many"')  # of the wrong type
    project.edit("size_bytes", "size_byts")  # misspelt
    told = refused(project.run(), 3, "invalid-project-file")
    lines = (project.folder / "onnxyard.toml").read_text().splitlines()
    section, repeats, size = (
        next(number for number, line in enumerate(lines, 1) if line.startswith(start))
        for start in ("[project]", "repeats", "size_byts")
    )
    [missing, wrong, misspelt] = told.context["problems"]
    assert missing.startswith(f"onnxyard.toml:{section}: [project] name: missing; expected a name")
    assert wrong.startswith(f"onnxyard.toml:{repeats}: [optimize] repeats: expected a whole number")
    assert "got 'many'" in wrong
    assert misspelt == f"onnxyard.toml:{size}: [gates] size_byts: unknown key; did you mean 'size_bytes'?"
    nothing_half_written(project)
