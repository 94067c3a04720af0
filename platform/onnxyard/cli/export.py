"""`onnxyard export`: the export stage alone, for a project or a finished file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxyard.cli.options import HomeOption, JsonOption
from onnxyard.cli.output import err, out, print_json
from onnxyard.errors import InvalidRequestError

NOTHING_HOLDS = 7
"""Exit code of a matrix in which no opset passed."""

SourceArgument = Annotated[
    Path, typer.Argument(metavar="PROJECT|FILE", help="A project's folder, or a finished .onnx file.")
]
OpsetOption = Annotated[
    int | None, typer.Option(min=1, help="The opset: exactly this one. By default the project's, or the file's own.")
]
OpsetsOption = Annotated[
    str | None,
    typer.Option(metavar="11..27", help="Try each of these opsets and print which hold; nothing is written."),
]
OutputOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where to write; ./NAME-onnx by default.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add `export`."""
    app.command()(export)


def export(
    source: SourceArgument,
    *,
    opset: OpsetOption = None,
    opsets: OpsetsOption = None,
    output: OutputOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Export a model to ONNX, proven against its source; or see which opsets it can have."""
    if opsets is not None:
        if opset is not None or output is not None:
            raise InvalidRequestError(
                "--opsets only looks; it goes with neither --opset nor --output.",
                remedy="Leave --opsets away to write one of them.",
            )
        _matrix(source, opsets, home, as_json=as_json)
        return
    _export(source, opset, output, home, as_json=as_json)


def _export(source: Path, opset: int | None, output: Path | None, home: Path | None, *, as_json: bool) -> None:
    # These bring onnx; the commands' help does without.
    from onnxyard.cli.export_folder import draft_of, write_manifest  # noqa: PLC0415
    from onnxyard.cli.export_work import work_on  # noqa: PLC0415

    with work_on(source, home) as work:
        target = (output or Path(f"{work.name}-onnx")).expanduser().absolute()
        with draft_of(target) as draft, err.status(f"export {work.name}"):
            written = work.export(opset, draft)
            artifact = write_manifest(draft, {"model": work.name, **written.document()})
    if as_json:
        files = [{"path": file.path, "sha256": file.sha256, "size_bytes": file.size_bytes} for file in artifact.files]
        print_json(
            {"model": work.name, "output": str(target), **written.document(), "digest": artifact.digest, "files": files}
        )
        return
    release = "no release known" if written.release is None else f"{written.release.name} and newer"
    out.print(f"Exported [bold]{work.name}[/] to {target}:")
    for name, value in (
        ("opset", written.graph.opset),
        ("IR version", written.graph.ir_version),
        ("exporter", written.exporter),
        ("nodes", written.graph.nodes),
        ("max error", f"{written.max_error:.2g}"),
        ("ONNX Runtime", release),
    ):
        out.print(f"  {name:<13}{value}", markup=False)
    for remedy in written.remedies:
        out.print(f"  {'remedy':<13}{remedy}", markup=False)
    for file in artifact.files:
        out.print(f"  {file.path:<18}{file.size_bytes:>14,} bytes  {file.sha256[:12]}", markup=False)


def _matrix(source: Path, opsets: str, home: Path | None, *, as_json: bool) -> None:
    from onnxyard.cli.export_matrix import as_table, matrix, notes_table, parse_opsets  # noqa: PLC0415 - brings onnx
    from onnxyard.cli.export_work import work_on  # noqa: PLC0415 - as above

    wanted = parse_opsets(opsets)
    rows = []
    with work_on(source, home) as work, err.status("") as status:
        status.update(f"export {work.name}: opset {wanted[0]} (1 of {len(wanted)})")
        for number, row in enumerate(matrix(work, wanted), 2):
            rows.append(row)
            if number <= len(wanted):
                status.update(f"export {work.name}: opset {wanted[number - 1]} ({number} of {len(wanted)})")
    if as_json:
        print_json({"model": work.name, "rows": [row.document() for row in rows]})
    else:
        out.print(as_table(rows))
        if any(row.notes for row in rows):
            out.print()
            out.print(notes_table(rows))
    if not any(row.written for row in rows):
        raise typer.Exit(NOTHING_HOLDS)
