"""A lifecycle's outcome for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from onnxyard.cli.output import out

if TYPE_CHECKING:
    from onnxyard.settings import Settings


def print_summary(document: dict[str, Any], settings: Settings) -> None:
    """Print stages, candidates, gates, the endpoint and where to look next."""
    stages = _table("stage", "seconds", "")
    for name, stage in document["stages"].items():
        stages.add_row(name, f"{stage['seconds']:.1f}", "reused" if stage["reused"] else "")
    out.print(stages)
    if document["candidates"]:
        candidates = _table("candidate", "target", "quality", "p50 ms", "p99 ms", "bytes", "")
        for each in document["candidates"]:
            numbers = (_number(each[key]) for key in ("quality", "p50_ms", "p99_ms", "size_bytes"))
            candidates.add_row(each["recipe"], each["target"], *numbers, "chosen" if each["chosen"] else "")
        out.print(candidates)
    if document["gates"]:
        gates = _table("gate", "observed", "threshold", "")
        for gate in document["gates"]:
            verdict = "[green]passed[/]" if gate["passed"] else "[bold red]not passed[/]"
            gates.add_row(gate["name"], _number(gate["observed"]), _number(gate["threshold"]), verdict)
        out.print(gates)
    if document["version"] is None:
        out.print(f"{document['model']} is not registered yet: validate was not run.")
        return
    subject = f"{document['model']}@{document['version']}"
    where = f" at endpoint {document['endpoint']}, generation {document['generation']}"
    out.print(f"[bold]{subject}[/] is {document['status']}{where if document['status'] == 'live' else ''}")
    out.print(f"next: onnxyard show {subject} --home {settings.home}")
    if document["status"] == "live":
        out.print(f"      onnxyard serve --home {settings.home}")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, justify="right" if name in {"seconds", "observed", "threshold", "bytes"} else "left")
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
