"""Endpoints as `onnxyard status` shows them: as JSON, and as a page for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from onnxyard.cli.passport import deployment_document, moment, replica_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from onnxyard.lifecycle.deployment import ReplicaReport
    from onnxyard.operations.status import EndpointStatus

_DRIFT = {"drift": "[bold red]drift[/]", "no_drift": "[green]no drift[/]", "undecided": "[yellow]undecided[/]"}


def endpoint_document(status: EndpointStatus) -> dict[str, object]:
    """One endpoint, JSON-compatible."""
    window = status.last_window
    return {
        "endpoint": status.endpoint,
        "generation": status.generation,
        "deployments": [deployment_document(d) for d in status.deployments],
        "replicas": [replica_document(r) for r in status.replicas],
        "last_window": None
        if window is None
        else {
            "version": window.version,
            "verdict": window.verdict.value,
            "rows": window.rows,
            "drifted_columns": [column.column for column in window.columns if column.drifted],
            "detail": window.detail,
            "created_at": window.created_at.isoformat(),
        },
    }


def endpoints_page(found: Sequence[EndpointStatus]) -> RenderableType:
    """For each endpoint what is live and who said so, what its replicas say, and the last drift verdict."""
    parts: list[RenderableType] = []
    for status in found:
        lines = Table.grid(padding=(0, 2))
        for d in status.deployments:
            since = f"since {moment(d.created_at)} by {d.actor} ({d.kind}: {d.reason})"
            lines.add_row(f"  {d.role}", escape(f"{d.model}@{d.version} on {d.target}, {since}"))
        for report in status.replicas:
            lines.add_row("  replica", _replica(report, status.generation))
        if not status.replicas:
            lines.add_row("  replica", "none has reported: onnxyard serve")
        lines.add_row("  drift", _drift(status))
        title = Text.assemble((status.endpoint, "bold"), f"  generation {status.generation}")
        parts += [title, lines]
    return Group(*parts)


def _replica(report: ReplicaReport, generation: int) -> str:
    behind = "" if report.generation == generation else f" generation {report.generation}"
    why = f": {report.message}" if report.message else ""
    runs = f", {report.provider}, {report.runtime}" if report.provider and report.runtime else ""
    return escape(f"{report.url} {report.state}{behind}{why}{runs}, seen {moment(report.seen_at)}")


def _drift(status: EndpointStatus) -> str:
    window = status.last_window
    if window is None:
        return f"not checked yet: onnxyard monitor {escape(status.endpoint)}"
    return f"{_DRIFT[window.verdict]} ({window.rows} rows, {moment(window.created_at)}): {escape(window.detail)}"
