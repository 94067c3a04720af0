"""`onnxyard blame`: the first place where an exported graph differs from its source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxyard.cli.options import HomeOption, JsonOption
from onnxyard.cli.output import err, out, print_json
from onnxyard.errors import InvalidRequestError

if TYPE_CHECKING:
    from rich.table import Table

    from onnxyard.diagnosis.blame import Accused, Blame, Spot

DIFFERENT = 1
"""Exit code where a difference was found."""


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command()(blame)


def blame(  # noqa: PLR0917 - Typer's arguments, which it fills by name
    what: Annotated[
        str,
        typer.Argument(metavar="MODEL[@VERSION]|PROJECT|FILE", help="As digits@3; a project's folder; an .onnx file."),
    ],
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FILE.onnx", help="Judge this graph instead of our own.", show_default=False),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            metavar="FILE.npz|FOLDER",
            help="Rows to compare on: arrays by input name. The golden set by default; made up for a file.",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            metavar="DIR",
            help="The code of MODEL\\[@VERSION]; the folder that holds home by default.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.svg", help="Draw the error along the graph.", show_default=False),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the first place where an exported graph does something else than its source.

    Both sides run on the golden set, tensor by tensor; then every ONNX node is fed the source's own inputs.

    Exit code 0: nothing differs beyond rounding; 1: something does.
    """
    from onnxyard.cli.blame_case import Wanted, opened  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.diagnosis.blame import blame as ask  # noqa: PLC0415 - as above

    if plot is not None and not plot.absolute().parent.is_dir():
        raise InvalidRequestError("There is no folder to draw into.", where=str(plot.parent), remedy="Make it first.")
    wanted = Wanted(what, against, inputs, project, home)
    with err.status("blame") as status, opened(wanted, status.update) as case:
        answer = ask(
            case.source,
            case.model,
            case.inputs,
            sidecar=case.sidecar,
            name=case.name,
            progress=lambda doing: status.update(f"blame {case.name}: {doing}"),
        )
    if plot is not None:
        from onnxyard.diagnosis.blame.plot import draw  # noqa: PLC0415 - as above

        plot.write_text(draw(answer), encoding="utf-8")
    if as_json:
        print_json(answer.document())
    else:
        _print(answer)
    if answer.culprit is not None:
        raise typer.Exit(DIFFERENT)


def _print(answer: Blame) -> None:
    from onnxyard.diagnosis.blame.report import figure  # noqa: PLC0415 - loaded only when it is used

    out.print(answer.sentence, style="bold" if answer.culprit else None, markup=False)
    if answer.culprit is not None:
        _print_node(answer.culprit)
        out.print()
        out.print(_path(answer))
        for other in answer.others:
            out.print(f"Further: {_named(other.spot)}, {_share(other)}.", markup=False)
    for spot in answer.harmless:
        out.print(f"No output notices: {_named(spot)} differs by {figure(spot.local)}.", markup=False)
    for note in answer.notes:
        out.print(note, markup=False)
    compared = f"{answer.model} against {answer.reference} on {answer.rows} rows"
    paired = f"{answer.paired.pairs} tensors paired by {answer.paired.method}, compared on {answer.looked_into} rows"
    out.print(f"{compared}; {paired}.", style="dim", markup=False)


def _print_node(culprit: Accused) -> None:
    spot = culprit.spot
    attributes = ", ".join(f"{key}={value}" for key, value in spot.attributes.items())
    out.print(f"  {spot.op}({attributes})", markup=False)
    for change in spot.changed:
        out.print(f"  compared with a fresh export, {change}", markup=False)


def _path(answer: Blame) -> Table:
    from rich.table import Table  # noqa: PLC0415 - loaded only when it is used
    from rich.text import Text  # noqa: PLC0415 - as above

    from onnxyard.diagnosis.blame.report import figure  # noqa: PLC0415 - as above

    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("")
    table.add_column("module", overflow="fold")
    for column in ("source", "operator"):
        table.add_column(column, no_wrap=True)
    for column in ("error in", "error out", "made here"):
        table.add_column(column, justify="right", no_wrap=True)
    guilty = {one.spot.tensor for one in (answer.culprit, *answer.others) if one is not None}
    for spot in answer.path:
        first = answer.culprit is not None and spot.tensor == answer.culprit.spot.tensor
        cells = (
            "→" if first else "·" if spot.tensor in guilty else "",
            spot.module or "the model",
            spot.source,
            spot.op,
            figure(spot.error_in),
            figure(spot.error_out),
            figure(spot.local),
        )
        table.add_row(*(Text(cell) for cell in cells), style="bold red" if first else "")
    return table


def _named(spot: Spot) -> str:
    where = ", ".join(text for text in (spot.module, spot.source) if text)
    return f"{spot.node} ({spot.op})" + (f" of {where}" if where else "")


def _share(one: Accused) -> str:
    from onnxyard.diagnosis.blame.report import percent  # noqa: PLC0415 - loaded only when it is used

    return f"{percent(one.share)} of the final error (shares need not add up)"
