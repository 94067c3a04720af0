"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
