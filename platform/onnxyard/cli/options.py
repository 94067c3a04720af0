"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxyard.settings import PROJECT_FILE

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="ONNXYARD_HOME",
        help="Folder that holds all state; .onnxyard beside the nearest onnxyard.toml by default.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout; logs go to stderr.")]
ProjectArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder (with its onnxyard.toml).")]


def names_file(what: Path) -> bool:
    """Whether PROJECT|FILE is a model's file: one that is there, or an `.onnx` that is missing."""
    return what.name != PROJECT_FILE and (what.is_file() or (what.suffix == ".onnx" and not what.is_dir()))
