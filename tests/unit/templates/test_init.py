import json
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from onnxyard.cli.exits import exit_code
from onnxyard.cli.init import TEMPLATES, write_project
from onnxyard.cli.main import build
from onnxyard.errors import ConflictError, InvalidRequestError
from onnxyard.project.processing import check_imports
from onnxyard.project.project import load_project

SHELF = Path(str(files("onnxyard"))) / "templates"
FILES = {
    template: sorted(path.name for path in (SHELF / template).iterdir() if path.name != "__pycache__")
    for template in TEMPLATES
}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_written_and_loads_clean(tmp_path, template):
    root = tmp_path / "deep" / "Some Folder"
    assert write_project(root, template) == template
    assert names(root) == FILES[template]
    assert names(root.parent) == ["Some Folder"]
    project = load_project(root)
    assert project.name == project.file.deploy.endpoint == template
    if project.file.project.processing:
        check_imports(root / project.file.project.processing)
    # train lies elsewhere where it runs in a toolchain, which is not here
    trained_here = not project.file.project.onnx and project.file.project.training is None
    wanted = ["data", "train", "metrics"] if trained_here else ["data", "metrics"]
    assert all(project.functions().has(name) for name in wanted)


def test_the_two_first_ones_are_there():
    assert FILES["digits"] == ["digits.py", "onnxyard.toml", "processing.py"]
    assert FILES["tabular"] == ["onnxyard.toml", "processing.py", "tabular.py"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_states_every_section(tmp_path, template):
    write_project(tmp_path / "p", template)
    text = (tmp_path / "p" / "onnxyard.toml").read_text()
    file = load_project(tmp_path / "p").file
    steps = {"preprocess", "postprocess"}
    for section in type(file).model_fields:  # steps are no section with defaults: a project has some, or has none
        assert f"[{section}" in text or (section in steps and not getattr(file, section))


def test_the_folders_name_becomes_the_projects_where_it_is_one(tmp_path):
    assert write_project(tmp_path / "my-digits", "digits") == "my-digits"
    project = load_project(tmp_path / "my-digits")
    assert project.name == project.file.deploy.endpoint == "my-digits"
    lines = (tmp_path / "my-digits" / "onnxyard.toml").read_text().splitlines()
    assert lines[3].index("#") == lines[4].index("#")


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path):
    inode = tmp_path.stat().st_ino
    write_project(tmp_path, "digits")
    assert names(tmp_path) == FILES["digits"]
    assert tmp_path.stat().st_ino == inode


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConflictError) as caught:
        write_project(tmp_path, "digits")
    assert exit_code(caught.value) == 5
    assert names(tmp_path) == ["mine.txt"]
    with pytest.raises(InvalidRequestError):
        write_project(tmp_path / "mine.txt", "digits")


def test_nothing_half_written_is_left_when_the_disk_fails(tmp_path, monkeypatch):
    def full(*_args, **_keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onnxyard.cli.init.shutil.copytree", full)
    with pytest.raises(Exception, match="No space") as caught:
        write_project(tmp_path / "p", "digits")
    assert exit_code(caught.value) == 75
    assert names(tmp_path) == []


def test_the_command_says_what_comes_next(tmp_path):
    run = CliRunner().invoke(build(), ["init", str(tmp_path / "a"), "--template", "tabular"])
    assert run.exit_code == 0
    assert "onnxyard run" in run.output
    run = CliRunner().invoke(build(), ["init", str(tmp_path / "b"), "--json"])
    assert json.loads(run.output)["files"] == FILES["digits"]
