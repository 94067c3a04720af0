"""A row of the doctor's table of codes."""

from __future__ import annotations

from dataclasses import dataclass

from onnxyard.lifecycle.finding import Finding, Severity

BLOCKED, WARNING, NOTE = Severity.BLOCKED, Severity.WARNING, Severity.NOTE


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding.

    Attributes:
        name: Stable and searchable.
        severity: How bad it is, always.
        title: What it is, in one sentence.
        why: Why it matters.
        remedy: What to do about it, where the finding itself knows nothing better.
    """

    name: str
    severity: Severity
    title: str
    why: str
    remedy: str

    def found(
        self, what: str, *, module: str = "", source: str = "", node: str = "", remedy: str = "", fix: str = ""
    ) -> Finding:
        """A finding of this code; `remedy` takes the place of the code's own where it is more exact."""
        return Finding(
            code=self.name,
            severity=self.severity,
            what=what,
            module=module,
            source=source,
            why=self.why,
            remedy=remedy or self.remedy,
            node=node,
            fix=fix,
        )
