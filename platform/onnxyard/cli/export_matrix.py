"""`onnxyard export --opsets`: which opsets a model can have, and what each of them costs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.markup import escape
from rich.table import Table

from onnxyard.cli.export_work import Work, Written
from onnxyard.errors import InvalidRequestError, UnsupportedModelError

_RANGE = re.compile(r"(\d+)(?:\.\.(\d+))?")
_HIGHEST = 1000
_FIXED_WIDTH, _LEAST_NOTES = 52, 18
_VERSION = re.compile(r" \d+(\.\d+)+")


@dataclass(frozen=True, slots=True)
class Row:
    """One opset.

    Attributes:
        opset: The one that was asked for.
        written: What came out; None where nothing passed the checks.
        notes: The remedies, or why there is nothing.
    """

    opset: int
    written: Written | None
    notes: str

    def document(self) -> dict[str, object]:
        """JSON-compatible; `loads` says whether ONNX Runtime loads it, which every export that passes has proven."""
        if self.written is None:
            return {"opset": self.opset, "loads": False, "notes": self.notes}
        return {**self.written.document(), "loads": True, "notes": self.notes}


def parse_opsets(text: str) -> tuple[int, ...]:
    """Opsets in ascending order from `11..27`, `17` or `11,13,17..20`.

    Raises:
        InvalidRequestError: it is written otherwise, or names none.
    """
    found: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None or int(match[2] or match[1]) >= _HIGHEST:
            raise InvalidRequestError(
                f"{text!r} is no list of opsets.", where="--opsets", remedy="Write 11..27 or 13,17."
            )
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    if not found:
        raise InvalidRequestError(f"{text!r} names no opset.", where="--opsets", remedy="Write the lower one first.")
    return tuple(sorted(found))


def matrix(work: Work, opsets: Iterable[int]) -> Iterator[Row]:
    """Export at each opset into a folder that is gone afterwards; a row as soon as it is known.

    Raises what has nothing to do with the opset: the project's own code failing, inputs that do not fit.
    """
    for opset in opsets:
        with TemporaryDirectory(prefix="onnxyard-export-") as folder:
            try:
                written = work.export(opset, Path(folder) / "model")
            except UnsupportedModelError as error:
                yield Row(opset, None, error.detail)
            else:
                yield Row(opset, written, " ".join(written.remedies))


def as_table(rows: Iterable[Row], *, width: int) -> Table:
    """For people: one line per opset in a terminal of this width; the notes are cut there, `--json` has all of them."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("opset", "IR"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    for heading in ("exporter", "loads"):
        table.add_column(heading, no_wrap=True, min_width=len(heading))
    for heading in ("max error", "nodes", "ONNX Runtime"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    table.add_column("notes", no_wrap=True)
    shown = [(row, _short(row.written.exporter) if row.written else "") for row in rows]
    room = max(_LEAST_NOTES, width - _FIXED_WIDTH - max(len("exporter"), *(len(exporter) for _, exporter in shown)))
    for row, exporter in shown:
        notes = escape(row.notes if len(row.notes) <= room else f"{row.notes[: room - 1]}…")
        if (one := row.written) is None:
            table.add_row(str(row.opset), "", "", "[red]no[/]", "", "", "", notes)
            continue
        release = "none known" if one.release is None else f"{one.release.name}+"
        numbers = f"{one.max_error:.1e}", str(one.graph.nodes), release
        table.add_row(str(row.opset), str(one.graph.ir_version), exporter, "[green]yes[/]", *numbers, notes)
    return table


def _short(exporter: str) -> str:
    """As `dynamo` or `legacy`, without versions."""
    return _VERSION.sub("", exporter).replace("torch.onnx ", "").replace("onnx version ", "")
