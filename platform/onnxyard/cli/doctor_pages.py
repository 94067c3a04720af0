"""What the doctor found, as a page for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from onnxyard.cli.output import out
from onnxyard.lifecycle.finding import Severity

if TYPE_CHECKING:
    from onnxyard.cli.doctor_visits import Visit
    from onnxyard.lifecycle.finding import Finding

FORMAT = 1
_STYLES = {Severity.BLOCKED: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
_VERDICTS = {0: ("green", "clean"), 1: ("yellow", "works, with findings"), 7: ("bold red", "blocked")}


def document(visit: Visit) -> dict[str, object]:
    """The outcome, JSON-compatible; `docs/doctor.md` describes it."""
    return {
        "format": FORMAT,
        "subject": visit.name,
        "kind": visit.kind,
        "exit_code": visit.exit_code,
        "export": visit.export,
        "findings": [asdict(finding) for finding in visit.findings],
        "remedies": [asdict(remedy) for remedy in visit.remedies],
        "written": visit.written,
    }


def print_page(visit: Visit) -> None:
    """Verdict first, then the findings by severity: what, where, what to do."""
    style, verdict = _VERDICTS[visit.exit_code]
    counts = [
        f"{number} {severity}" + ("s" if number != 1 and severity is not Severity.BLOCKED else "")
        for severity in Severity
        if (number := sum(finding.severity is severity for finding in visit.findings))
    ]
    out.print(Text.assemble((visit.name, "bold"), ": ", (verdict, style), f" ({', '.join(counts)})" if counts else ""))
    if visit.export is not None:
        out.print(
            f"[dim]{visit.export['exporter']}, opset {visit.export['opset']}, {visit.export['nodes']} nodes, "
            f"largest error {visit.export['max_error']:.2g}[/]"
        )
    for finding in visit.findings:
        _print_finding(finding)
    for remedy in visit.remedies:
        mark, style = ("fixed", "green") if remedy.kept else ("not fixed", "yellow")
        out.print()
        out.print(Text.assemble((f"{mark} ", style), (remedy.code, "bold"), f"  {remedy.told}"))
    if visit.written:
        out.print(f"Written: {visit.written}", markup=False)
    elif any(finding.fix for finding in visit.findings) and not visit.remedies:
        out.print()
        out.print("[dim]Some of it can be mended and proven with --fix.[/]")


def _print_finding(finding: Finding) -> None:
    out.print()
    place = ", ".join(text for text in (finding.module, finding.source) if text) or finding.node
    head = Text.assemble((finding.severity.value, _STYLES[finding.severity]), " ", (finding.code, "bold"))
    out.print(head.append(f"  {place}") if place else head)
    lines = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 2))
    lines.add_column(no_wrap=True, style="dim")
    lines.add_column(overflow="fold", max_width=110)
    lines.add_row("what", Text(finding.what))
    if finding.severity is not Severity.NOTE:
        lines.add_row("why", Text(finding.why))
        lines.add_row("next", Text(finding.remedy))
    out.print(lines)
