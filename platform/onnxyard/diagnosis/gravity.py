"""Findings by how grave they are: their order, and the exit code they amount to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import CODES
from onnxyard.lifecycle.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnxyard.lifecycle.finding import Finding

CLEAN, WORKS, BLOCKED = 0, 1, 7
"""Exit codes of `onnxyard doctor`."""
_ORDER = list(Severity)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The gravest first, then as the table of codes has them; each place once per code."""
    first: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        first.setdefault((finding.code, finding.module, finding.source, finding.node), finding)
    codes = list(CODES)
    return tuple(sorted(first.values(), key=lambda one: (_ORDER.index(one.severity), codes.index(one.code))))


def exit_code(findings: Iterable[Finding]) -> int:
    """0 clean (notes do not count), 1 works with findings, 7 blocked."""
    severities = {finding.severity for finding in findings}
    if Severity.BLOCKED in severities:
        return BLOCKED
    return WORKS if Severity.WARNING in severities else CLEAN
