"""The child that makes candidates: whatever crashes, hangs or eats memory in it is one candidate's failure.

See `onnxyard.stages.optimize.makers`, which is the other side.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxyard.project.project import load_project
from onnxyard.project.split import Batch, join
from onnxyard.runtimes.machine import usable_cores
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.stages.optimize.making import make
from onnxyard.stages.optimize.passes.transformation import Materials
from onnxyard.stages.optimize.recipes.catalogue import recipe_named
from onnxyard.stages.optimize.shelf import Shelf
from onnxyard.stages.scoring import metric_of
from onnxyard.tensors.files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from onnxyard.project.functions import Functions
    from onnxyard.project.protocols import Targets

    Tell = Callable[[dict[str, Any]], None]


class _Bench:
    """What this process makes candidates with."""

    given: dict[str, Any]

    def materials(self) -> Materials:
        return Materials(self.calibration, self.score, self.given["max_drop"])

    def calibration(self) -> Iterator[dict[str, np.ndarray]]:
        for folder in sorted(Path(self.given["calibration"]).iterdir()):
            yield read_tensors(folder)

    def score(self, file: Path) -> float:
        model = OnnxRuntime().load(file, provider="CPUExecutionProvider", threads=usable_cores())
        answered, at = [], 0
        for inputs in self.calibration():
            outputs = model.run(inputs)
            rows = len(next(iter(outputs.values())))
            answered.append(Batch(outputs, self._targets[at : at + rows]))
            at += rows
        outputs, targets = join(answered)
        return metric_of(self._functions.metrics(targets, outputs), self.given["metric"], where="[optimize] metric")

    @cached_property
    def _functions(self) -> Functions:
        return load_project(Path(self.given["root"])).functions()

    @cached_property
    def _targets(self) -> Targets:
        """Read only where a pass asks for the metric: most do not."""
        return self._functions.data().calibration.take(self.given["rows"]).targets


_BENCH = _Bench()


def prepare(given: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    """Take note of where everything lies."""
    _BENCH.given = given
    return {}


def make_one(given: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    """Make one recipe's candidate."""
    made = make(
        recipe_named(given["recipe"]),
        Path(given["source"]),
        Path(given["folder"]),
        _BENCH.materials(),
        shelf=Shelf(Path(_BENCH.given["shelf"])),
        materials_digest=_BENCH.given["materials"],
    )
    return {
        "file": str(made.file),
        "facts": dict(made.facts),
        "precision": made.precision,
        "portable": made.portable,
        "seconds": made.seconds,
    }


COMMANDS = {"prepare": prepare, "make": make_one}
