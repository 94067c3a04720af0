"""`onnxyard targets`: what a target may name as its runtime, and what this machine lacks for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.cli.options import HomeOption, JsonOption
from onnxyard.cli.output import out, print_json

if TYPE_CHECKING:
    import typer

    from onnxyard.runtimes.availability import Available
    from onnxyard.runtimes.providers.lack import Lack


def register(app: typer.Typer) -> None:
    """Add `targets`."""
    app.command()(targets)


def targets(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show every runtime and provider: ready or what is missing, version, devices, precisions, and the machine."""
    # Every command loads this module: what it needs comes with the call.
    from onnxyard.runtimes.availability import availability  # noqa: PLC0415
    from onnxyard.runtimes.machine import describe  # noqa: PLC0415

    found = availability(lambda toolchain: _lack_of_toolchain(toolchain, home))
    machine = describe()
    if as_json:
        print_json({"machine": machine, "targets": [_document(each) for each in found]})
        return
    from rich.table import Table  # noqa: PLC0415 - only where people read

    table = Table("runtime", "provider", "precisions", "runs with", "on", box=None, pad_edge=False)
    for each in found:
        if each.lack is None:
            told = [name if name in each.accelerated else f"{name}*" for name in each.precisions]
            where = f"toolchain {each.toolchain}" if each.toolchain else each.version
            table.add_row(each.runtime, each.provider, " ".join(told), where, ", ".join(each.devices))
    out.print(table)
    about = f"{machine['processor']}, {machine['cores']} usable cores; * without instructions of its own here"
    out.print(about, style="dim", markup=False)
    if emulated := [each.provider for each in found if each.emulated]:
        out.print(f"Right answers, but no speed: {', '.join(emulated)}", style="yellow", markup=False)
    out.print("\nNot here:", markup=False)
    for each in found:
        if each.lack is not None:
            out.print(f"  {each.runtime}:{each.provider}", markup=False)
            out.print(f"    {each.lack.detail} {each.lack.remedy}", style="dim", markup=False)


def _lack_of_toolchain(name: str, home: HomeOption) -> Lack | None:
    """In the words with which its environment refuses to be used."""
    from onnxyard.errors import MissingExtraError  # noqa: PLC0415 - as above
    from onnxyard.runtimes.providers.lack import Lack  # noqa: PLC0415 - as above
    from onnxyard.settings import Settings  # noqa: PLC0415 - as above
    from onnxyard.toolchains.catalogue import known  # noqa: PLC0415 - as above
    from onnxyard.toolchains.environment import Environment  # noqa: PLC0415 - as above

    try:
        Environment(known(name), Settings.read(home=home)).require()
    except MissingExtraError as error:
        return Lack.of(error)
    return None


def _document(each: Available) -> dict[str, object]:
    return {
        "runtime": each.runtime,
        "provider": each.provider,
        "ready": each.lack is None,
        "version": each.version,
        "devices": list(each.devices),
        "missing": each.lack.detail if each.lack else "",
        "remedy": each.lack.remedy if each.lack else "",
        "emulated": each.emulated,
        "precisions": list(each.precisions),
        "accelerated": list(each.accelerated),
        "toolchain": each.toolchain,
    }
