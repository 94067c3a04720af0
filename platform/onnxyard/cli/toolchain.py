"""`onnxyard toolchain`: tools that live in an environment of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from onnxyard.cli.options import HomeOption, JsonOption
from onnxyard.cli.output import err, out, print_json
from onnxyard.settings import Settings

if TYPE_CHECKING:
    from onnxyard.toolchains.environment import Environment

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `onnxyard toolchain list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add `toolchain install`, `toolchain list` and `toolchain remove`."""
    toolchain = typer.Typer(
        name="toolchain", help="Tools that live in an environment of their own, under home.", no_args_is_help=True
    )
    app.add_typer(toolchain)
    toolchain.command()(install)
    toolchain.command("list")(list_toolchains)
    toolchain.command()(remove)


def install(name: NameArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Install a toolchain, every package of it in the version that was tried; nothing to do where it is there."""
    from onnxyard.toolchains.installing import install as make  # noqa: PLC0415 - as in `_environment`

    environment = _environment(name, home)
    with err.status(f"toolchain {name}") as status:
        done = make(environment, lambda said: status.update(f"toolchain {name}: {said}"))
    if as_json:
        print_json({**_document(environment), "installed_now": done})
        return
    out.print(f"{name} {'is installed' if done else 'was installed already'} in {environment.folder}", markup=False)


def list_toolchains(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show every toolchain: its state, its main packages, its size on disk, and where they lie."""
    from onnxyard.toolchains.catalogue import catalogue  # noqa: PLC0415 - as in `_environment`

    environments = [_environment(name, home) for name in catalogue()]
    if as_json:
        print_json({"toolchains": [_document(each) for each in environments]})
        return
    from rich.table import Table  # noqa: PLC0415 - only where people read

    table = Table("name", "state", "packages", "size", box=None, pad_edge=False)
    for each in environments:
        toolchain, size = each.toolchain, each.size_bytes()
        packages = ", ".join(f"{package} {toolchain.versions[package]}" for package in toolchain.shown)
        told = f"{size / 1e6:,.0f} MB" if size else f"(about {toolchain.megabytes:,} MB)"
        table.add_row(toolchain.name, each.state.value, packages, told)
    out.print(table)
    out.print(f"Under {environments[0].folder.parent}", style="dim", markup=False)


def remove(name: NameArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Remove a toolchain's environment."""
    from onnxyard.toolchains.installing import remove as unmake  # noqa: PLC0415 - as in `_environment`

    environment = _environment(name, home)
    unmake(environment)
    if as_json:
        print_json(_document(environment))
        return
    out.print(f"{name} is removed from {environment.folder}", markup=False)


def _environment(name: str, home: HomeOption) -> Environment:
    from onnxyard.toolchains.catalogue import known  # noqa: PLC0415 - every command loads this module
    from onnxyard.toolchains.environment import Environment  # noqa: PLC0415 - as above

    return Environment(known(name), Settings.read(home=home))


def _document(environment: Environment) -> dict[str, object]:
    toolchain = environment.toolchain
    return {
        "name": toolchain.name,
        "title": toolchain.title,
        "state": environment.state.value,
        "packages": {name: toolchain.versions[name] for name in toolchain.shown},
        "size_bytes": environment.size_bytes(),
        "megabytes": toolchain.megabytes,
        "path": str(environment.folder),
    }
