"""`onnxyard export --opsets`: which opsets a model can have, and what each of them costs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Table
from rich.text import Text

from onnxyard.cli.export_work import Work, Written
from onnxyard.errors import InvalidRequestError, UnsupportedModelError

_RANGE = re.compile(r"(\d+)(?:\.\.(\d+))?")
_HIGHEST = 1000
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


def as_table(rows: Iterable[Row]) -> Table:
    """For people: one line per opset, without the notes."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("opset", "IR"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    table.add_column("exporter", min_width=len("exporter"))  # the one that gives way in a narrow terminal
    for heading in ("loads", "max error", "nodes", "ONNX Runtime"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    for row in rows:
        if (one := row.written) is None:
            table.add_row(str(row.opset), "", "", "[red]no[/]", "", "", "")
            continue
        release = "none known" if one.release is None else f"{one.release.name}+"
        numbers = f"{one.max_error:.1e}", str(one.graph.nodes), release
        table.add_row(str(row.opset), str(one.graph.ir_version), _short(one.exporter), "[green]yes[/]", *numbers)
    return table


def notes_table(rows: Iterable[Row]) -> Table:
    """For people: each note once, behind the opsets that it is about."""
    opsets: dict[str, list[int]] = {}
    for row in rows:
        if row.notes:
            opsets.setdefault(row.notes, []).append(row.opset)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold", max_width=110)
    for note, ones in opsets.items():
        table.add_row(_ranges(ones), Text(note))
    return table


def _ranges(opsets: Iterable[int]) -> str:
    """As `--opsets` takes them: `11..17, 26`, of ascending numbers."""
    runs: list[list[int]] = []
    for opset in opsets:
        if runs and opset == runs[-1][1] + 1:
            runs[-1][1] = opset
        else:
            runs.append([opset, opset])
    return ", ".join(str(low) if low == high else f"{low}..{high}" for low, high in runs)


def _short(exporter: str) -> str:
    """As `dynamo` or `legacy`, without versions."""
    return _VERSION.sub("", exporter).replace("torch.onnx ", "").replace("onnx version ", "")
