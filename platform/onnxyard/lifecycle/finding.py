"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is."""

    BLOCKED = "blocked"
    """The model cannot take this path."""
    WARNING = "warning"
    """It works, and answers or runs other than its author expects."""
    NOTE = "note"
    """Good to know; nothing to mend."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or good to know.

    Attributes:
        code: Stable and searchable, as `baked-axis`; `onnxyard.diagnosis.codes` lists them all.
        severity: How bad it is.
        what: What was found, in one sentence, with the measured values.
        module: The module's path in the source model, as `encoder.layers.0`; empty where unknown or not one module.
        source: `file:line` in the user's source; empty where unknown.
        why: Why it matters.
        remedy: What to do about it.
        node: The ONNX node or tensor it was seen at; empty where there is none.
        fix: The name of the remedy that `--fix` can apply and prove; empty where a person has to.
    """

    code: str
    severity: Severity
    what: str
    module: str = ""
    source: str = ""
    why: str = ""
    remedy: str = ""
    node: str = ""
    fix: str = ""
