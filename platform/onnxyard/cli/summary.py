"""A lifecycle's outcome for people, from the JSON document of `onnxyard run`."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from onnxyard.cli.candidates import candidates_table, foremost
from onnxyard.cli.output import out
from onnxyard.lifecycle.finding import Severity

NUMBERS = frozenset({"seconds", "observed", "threshold", "rows", "right"})
"""Columns that are set flush right."""


def print_lifecycle(document: dict[str, Any]) -> None:
    """Print stages with seconds, candidates, gates, and what became of the version."""
    stages = table("stage", "seconds", "")
    for name, stage in document["stages"].items():
        stages.add_row(name, f"{stage['seconds']:.1f}", "reused" if stage["reused"] else "")
    out.print(stages)
    out.print()
    _print_export(document["export"])
    if document["candidates"]:
        _print_candidates(document["candidates"], report=document["report"])
    if document["gates"]:
        gates = table("gate", "observed", "threshold", "")
        for gate in document["gates"]:
            verdict = "[green]passed[/]" if gate["passed"] else "[bold red]not passed[/]"
            gates.add_row(gate["name"], _number(gate["observed"]), _number(gate["threshold"]), verdict)
        out.print(gates)
        out.print()
    if document["version"] is None:
        out.print(f"{document['model']} is not registered yet: validate was not run.")
        return
    where = f" at endpoint {document['endpoint']}, generation {document['generation']}"
    live = document["status"] == "live"
    out.print(f"[bold]{document['model']}@{document['version']}[/] is {document['status']}{where if live else ''}")


def _print_candidates(documents: list[dict[str, Any]], *, report: str | None) -> None:
    """The foremost with their figures, how many others there are, and why the chosen ones were chosen."""
    shown, others = foremost(documents)
    out.print(candidates_table(shown))
    if others:
        out.print(others, style="dim")
    for chosen in (each for each in documents if each["chosen"]):
        out.print(f"{chosen['target']}  {chosen['note']}", markup=False)
    if report is not None:
        out.print(f"report  {report}", markup=False)
    out.print()


def _print_export(export: dict[str, Any] | None) -> None:
    """What had to be done to get the graph, and what the doctor found; nothing where there is nothing to say."""
    told = [] if export is None else [finding for finding in export["findings"] if finding["severity"] != Severity.NOTE]
    for remedy in [] if export is None else export["remedies"]:
        out.print(f"export  {remedy}", markup=False)
    for finding in told:
        place = ", ".join(text for text in (finding["module"], finding["source"]) if text)
        out.print(f"doctor  {finding['code']}: {finding['what']}{f' [{place}]' if place else ''}", markup=False)
    if told:
        out.print("        onnxyard doctor DIR tells why it matters and what to do.", markup=False)
    if export is not None and (told or export["remedies"]):
        out.print()


def table(*columns: str) -> Table:
    """A table without lines, numbers flush right."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for name in columns:
        made.add_column(name, justify="right" if name in NUMBERS else "left")
    return made


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
