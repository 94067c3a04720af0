"""The `onnxyard` command: its own commands, and those that upper packages register by entry point."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import entry_points
from typing import NoReturn

import typer

from onnxyard import __version__
from onnxyard.cli.exits import UNEXPECTED, exit_code
from onnxyard.cli.extras import missing_extra
from onnxyard.cli.output import err, out, print_error
from onnxyard.disk import full_disk
from onnxyard.errors import OnnxyardError

COMMANDS = "onnxyard.commands"
"""Entry-point group: each entry is a function that takes the Typer app and adds its commands to it. The module may
import nothing beyond the light core at its top, so that `onnxyard --help` works with any set of extras."""


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(__version__)
        raise typer.Exit


def build() -> typer.Typer:
    """The whole application, with every registered command."""
    app = typer.Typer(
        name="onnxyard",
        help="The shipyard for ONNX models: develop, export, optimize, validate, deploy, operate.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )

    @app.callback()
    def onnxyard(
        version: bool = typer.Option(
            False, "--version", callback=_show_version, is_eager=True, help="Print the version and stop."
        ),
    ) -> None:
        pass

    for entry in sorted(entry_points(group=COMMANDS), key=lambda entry: entry.name):
        entry.load()(app)
    return app


def main() -> NoReturn:
    """Run a command; every error becomes one message and its exit code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    as_json = "--json" in sys.argv
    try:
        build()()
    except OnnxyardError as error:
        print_error(error, as_json=as_json)
        sys.exit(exit_code(error))
    except ModuleNotFoundError as error:
        told = missing_extra(error)
        if told is None:
            raise
        print_error(told, as_json=as_json)
        sys.exit(exit_code(told))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        full = full_disk(error)
        if full is not None:
            print_error(full, as_json=as_json)
            sys.exit(exit_code(full))
        logging.getLogger("onnxyard").exception("unexpected error")
        err.print("This is a defect of Onnxyard; please report it with the lines above.")
        sys.exit(UNEXPECTED)
    sys.exit(0)
