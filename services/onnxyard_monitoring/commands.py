"""Commands of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from onnxyard.cli.options import HomeOption, JsonOption
from onnxyard.cli.output import err, out, print_json
from onnxyard.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 12
"""Columns a person sees; --json prints all."""
COLOURS = {"drift": "bold red", "no_drift": "bold green", "undecided": "bold yellow"}


def register(app: typer.Typer) -> None:
    """Add `monitor`."""

    @app.command()
    def monitor(
        endpoint: Annotated[str, typer.Argument(help="The endpoint whose traffic is compared.")],
        rows: Annotated[int | None, typer.Option(min=1, help="Least rows of a window (500 by default).")] = None,
        last: Annotated[int | None, typer.Option(min=1, help="Check nothing; show this many recorded windows.")] = None,
        as_json: JsonOption = False,
        home: HomeOption = None,
    ) -> None:
        """Compare an endpoint's latest traffic with what its version was proven on, and record the result.

        The exit code is 0 for every recorded result, whatever the verdict.
        """
        from onnxyard_monitoring.jobs import check_drift, recorded_windows  # noqa: PLC0415 - scipy, sqlalchemy

        settings = Settings.read(home=home)
        if last is not None:
            windows = recorded_windows(settings, endpoint=endpoint, limit=last)
            if as_json:
                print_json(windows)
            else:
                _print_windows(endpoint, windows)
            return
        wanted = {} if rows is None else {"rows": rows}
        with err.status(f"Comparing the traffic of {endpoint}"):
            window = check_drift(settings, endpoint=endpoint, **wanted)
        if as_json:
            print_json(window)
        else:
            _print_window(window)


def _print_window(window: dict[str, Any]) -> None:
    out.print(
        f"[bold]{window['endpoint']}[/]  {window['model']}@{window['version']}  "
        f"{window['rows']} rows, {_minute(window['started_at'])} to {_minute(window['ended_at'])}"
        + ("" if window["recorded"] else "  (no new traffic: recorded before)")
    )
    out.print(_verdict(window["verdict"]), end="  ")
    out.print(window["detail"], markup=False)
    if window["missing"]:
        out.print(f"{window['missing']} requests of this stretch were answered but not logged.")
    table = Table("column", "test", "q", "effect", "", box=None, header_style="dim", pad_edge=False)
    for column in window["columns"][:SHOWN]:
        table.add_row(
            escape(column["column"]),
            column["test"],
            f"{column['q_value']:.2g}",
            f"{column['effect']:.3f}",
            "[red]drifted[/]" if column["drifted"] else "",
        )
    out.print(table)
    if (more := len(window["columns"]) - SHOWN) > 0:
        out.print(f"and {more} more columns (--json prints all)")
    if window["report"]:
        out.print(f"Report  {window['report']}", markup=False)


def _print_windows(endpoint: str, windows: Sequence[dict[str, Any]]) -> None:
    if not windows:
        out.print(f"No window of {endpoint} was recorded yet.", markup=False)
        return
    table = Table("ended", "version", "rows", "verdict", "", box=None, header_style="dim", pad_edge=False)
    for window in windows:
        version = f"{window['model']}@{window['version']}"
        row = (_minute(window["ended_at"]), version, str(window["rows"]), _verdict(window["verdict"]))
        table.add_row(*row, escape(window["detail"]))
    out.print(table)


def _verdict(verdict: str) -> str:
    return f"[{COLOURS[verdict]}]{verdict.replace('_', ' ')}[/]"


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ") + " UTC"
