"""`onnxyard doctor`: what is wrong with a model, where, and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxyard.cli.options import HomeOption, JsonOption, names_file
from onnxyard.cli.output import print_json

WhatArgument = Annotated[
    Path, typer.Argument(metavar="PROJECT|FILE", help="A project's folder, or an .onnx file.", show_default=False)
]
FixOption = Annotated[
    bool,
    typer.Option(
        "--fix",
        help="Apply the remedies that are safe, each proven before it is kept: in the project file, or in a new file.",
    ),
]


ReleaseOption = Annotated[
    str | None,
    typer.Option(
        "--onnxruntime",
        metavar="RELEASE",
        help="For a file: the oldest ONNX Runtime that must load it, as 1.17. A project says so in \\[targets.NAME].",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add `doctor`."""
    app.command()(doctor)


def doctor(
    what: WhatArgument,
    *,
    fix: FixOption = False,
    release: ReleaseOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Look for what is wrong with a model and its export: where it is, why it matters, what to do.

    Exit code 0: clean (notes do not count); 1: it works, with findings; 7: it is blocked.
    """
    from onnxyard.cli.doctor_pages import document, print_page  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.cli.doctor_visits import visit_file, visit_project  # noqa: PLC0415 - as above

    visit = visit_file(what, fix=fix, ceiling=release) if names_file(what) else visit_project(what, home, fix=fix)
    if as_json:
        print_json(document(visit))
    else:
        print_page(visit)
    if visit.exit_code:
        raise typer.Exit(visit.exit_code)
