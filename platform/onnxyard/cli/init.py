"""`onnxyard init`: a new project from a template."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from onnxyard.cli.options import JsonOption
from onnxyard.cli.output import out, print_json
from onnxyard.errors import ConflictError, InvalidRequestError, StorageFullError
from onnxyard.project.file import NAME
from onnxyard.settings import PROJECT_FILE

_SHELF = files("onnxyard") / "templates"
TEMPLATES = tuple(sorted(folder.name for folder in _SHELF.iterdir() if (folder / PROJECT_FILE).is_file()))
"""The projects that can be started from: the folders of `templates`."""


def _known(template: str) -> str:
    if template not in TEMPLATES:
        raise typer.BadParameter(f"{template!r} is not one of {', '.join(TEMPLATES)}.")
    return template


def register(app: typer.Typer) -> None:
    """Add `init`."""
    app.command()(init)


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make; it must be empty or new.")],
    template: Annotated[
        str, typer.Option(help=f"What to start from: {', '.join(TEMPLATES)}.", callback=_known)
    ] = "digits",
    as_json: JsonOption = False,
) -> None:
    """Write a new project: onnxyard.toml and a small Python module."""
    root = directory.expanduser().resolve()
    name = write_project(root, template)
    written = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    if as_json:
        print_json({"project": name, "template": template, "directory": str(root), "files": written})
        return
    out.print(f"Made the project [bold]{name}[/] in {directory}:")
    for file in written:
        out.print(f"  {file}", markup=False)
    out.print("Next:")
    steps = {
        f"onnxyard doctor {directory}": "see what export makes of it, and whether that can be trusted",
        f"onnxyard run {directory}": "carry it from code to a live endpoint",
        f"onnxyard status --home {directory / '.onnxyard'}": "see what is live",
    }
    width = max(map(len, steps))
    for step, what in steps.items():
        out.print(f"  {step:<{width}}  {what}", markup=False)


def write_project(root: Path, template: str) -> str:
    """Write a template's files into `root`: all of them, or nothing.

    Args:
        root: The folder; absolute. It is made where it is missing.
        template: Which files.

    Returns:
        The project's name: the folder's, where that is a valid one, else the template's.

    Raises:
        ConflictError: the folder holds something already.
        InvalidRequestError: there is a file of that name, or the folder cannot be written.
        StorageFullError: no space is left.
    """
    if root.exists() and not root.is_dir():
        raise InvalidRequestError("There is a file of this name.", where=str(root), remedy="Name a folder.")
    if root.is_dir() and any(root.iterdir()):
        raise ConflictError(
            "This folder is not empty.",
            where=str(root),
            remedy="Name a new folder, or an empty one: nothing is overwritten.",
        )
    name = root.name if re.fullmatch(NAME, root.name) else template
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
        try:
            _fill(draft, template, name)
            root.mkdir(exist_ok=True)  # an empty one is kept: somebody may stand in it
            for path in sorted(draft.iterdir(), key=lambda path: path.name == PROJECT_FILE):
                path.replace(root / path.name)  # the project file last: without it there is no project
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFullError("No space is left for the project.", where=str(root)) from error
        raise InvalidRequestError(f"The project cannot be written: {error.strerror}.", where=str(root)) from error
    return name


def _fill(folder: Path, template: str, name: str) -> None:
    with as_file(_SHELF / template) as source:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    if name != template:
        path = folder / PROJECT_FILE
        text = path.read_text(encoding="utf-8")
        named = re.sub(
            rf'(?m)^(name|endpoint) = "{template}" *',
            lambda found: f'{found[1]} = "{name}" '.ljust(len(found[0])),
            text,
        )
        path.write_text(named, encoding="utf-8")
