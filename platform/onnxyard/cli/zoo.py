"""`onnxyard zoo`: models of an ONNX Model Zoo, from any mirror."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from onnxyard.cli.options import JsonOption
from onnxyard.cli.output import err, out, print_json
from onnxyard.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onnxyard.zoo.manifest import ZooModel

MirrorOption = Annotated[
    str | None,
    typer.Option("--mirror", metavar="URL|FOLDER", help="The zoo; ONNX's own by default.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    zoo = typer.Typer(no_args_is_help=True)
    zoo.command("list")(list_models)
    zoo.command()(fetch)
    app.add_typer(zoo, name="zoo", help="Models of an ONNX Model Zoo.")


def list_models(
    mirror: MirrorOption = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only models with this tag; may be repeated.", show_default=False)
    ] = None,
    opset: Annotated[int | None, typer.Option("--opset", help="Only models of this opset.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """List a zoo's models, as a project file may name them with `onnx`."""
    from rich.table import Table  # noqa: PLC0415 - loaded only when it is used

    from onnxyard.zoo.mirror import OFFICIAL, ZooMirror  # noqa: PLC0415 - as above

    found = list(_wanted(ZooMirror(mirror or OFFICIAL).models(), {t.casefold() for t in tag or ()}, opset))
    if as_json:
        print_json({"models": [_document(model) for model in found]})
        return
    table = Table("model", "opset", "bytes", "tags", box=None, header_style="dim", pad_edge=False)
    for model in found:
        size = "" if model.size_bytes is None else f"{model.size_bytes:,}"
        table.add_row(model.reference, str(model.opset or ""), size, ", ".join(model.tags))
    out.print(table)


def fetch(
    model: Annotated[str, typer.Argument(metavar="NAME[@OPSET]", help="As ResNet50@12; the newest without @OPSET.")],
    output: Annotated[Path, typer.Option("--output", help="The file to write.")] = Path("model.onnx"),
    mirror: MirrorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a model, its sha256 verified."""
    from onnxyard.lifecycle.digest import file_digest  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.zoo.mirror import OFFICIAL, ZooMirror  # noqa: PLC0415 - as above

    if output.exists():
        raise ConflictError("There is a file of this name already.", where=str(output), remedy="Name another --output.")
    output.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(prefix=".zoo-", dir=output.parent))
    try:
        with err.status(f"fetch {model}") as status:
            zoo = ZooMirror(mirror or OFFICIAL, progress=_telling(model, status.update))
            found = zoo.fetch(f"zoo:{model.removeprefix('zoo:')}", scratch)
        (scratch / "model.onnx").replace(output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if as_json:
        print_json({"model": found, "file": str(output), "sha256": file_digest(output)})
    else:
        out.print(f"{found} is in {output} ({output.stat().st_size:,} bytes, sha256 verified)")


def _telling(model: str, say: Callable[[str], None]) -> Callable[[int, int | None], None]:
    def tell(came: int, whole: int | None) -> None:
        of = "" if not whole else f" of {whole / 1e6:,.1f}"
        say(f"fetch {model}: {came / 1e6:,.1f}{of} MB")

    return tell


def _wanted(models: tuple[ZooModel, ...], tags: set[str], opset: int | None) -> Iterator[ZooModel]:
    for model in models:
        if tags <= {tag.casefold() for tag in model.tags} and opset in {None, model.opset}:
            yield model


def _document(model: ZooModel) -> dict[str, object]:
    return {
        "reference": model.reference,
        "name": model.name,
        "opset": model.opset,
        "path": model.path,
        "sha256": model.sha256 or None,
        "size_bytes": model.size_bytes,
        "tags": list(model.tags),
    }
