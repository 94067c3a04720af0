"""Why a file is not opened."""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason to keep a file away.

    Attributes:
        code: Its code in the doctor's table (`onnxyard.diagnosis.codes`).
        what: What was found and where, in one sentence.
        remedy: What to do about it.
        node: The node or tensor it was seen at; empty where there is none.
        module: The module of the source model, where the file says it.
        source: `file:line` of the source model, where the file says it.
    """

    code: str
    what: str
    remedy: str
    node: str = ""
    module: str = ""
    source: str = ""


def printable(text: str) -> str:
    """A name out of a foreign file, fit for a message: no control characters, not endless."""
    clean = "".join(character if character.isprintable() else "?" for character in text[: _LONGEST + 1])
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}..."


def in_units(size: int) -> str:
    """A number of bytes for people, as `4.0 GiB`."""
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << power:
            return f"{size / (1 << power):.1f} {unit}" if size < 1 << 60 else "an astronomical number of bytes"
    return f"{size} bytes"
