"""What a search has found so far, one line a candidate: a search that was killed goes on where it was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from onnxyard.lifecycle.candidate import Candidate
from onnxyard.stages.optimize.tried import Tried

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.stages.optimize.makers import Made
    from onnxyard.stages.optimize.space import Point

_CANDIDATE = TypeAdapter(Candidate)


class Journal:
    """A file of lines; a last line that was cut short is as good as never written."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[tuple[str, str], tuple[Candidate, dict[int, tuple[float, ...]]]] = {}
        self._read()

    def find(self, point: Point, name: str, made: Made, digest: str) -> Tried | None:
        """What was found of this point with this very model; None for a new one."""
        known = self._known.get((name, digest))
        if known is None:
            return None
        candidate, medians = known
        return Tried(point, replace(candidate, facts=dict(made.facts)), made.file, medians)

    def write(self, tried: Tried) -> None:
        """Add a line."""
        line = {
            "candidate": _CANDIDATE.dump_python(tried.candidate, mode="json"),
            "medians": {str(size): list(values) for size, values in tried.medians.items()},
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """The search is over: its result is kept elsewhere."""
        self._file.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        for line in lines:
            try:
                document = json.loads(line)
                candidate = _CANDIDATE.validate_python(document["candidate"])
                medians = {int(size): tuple(values) for size, values in document["medians"].items()}
            except (ValueError, TypeError, KeyError):
                continue
            if candidate.artifact is not None:
                self._known[candidate.name, candidate.artifact.digest] = candidate, medians
