"""One case, exported plainly and by us, both judged on the same inputs."""

from __future__ import annotations

import logging
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.export.case import FOLDER, Case, Outcome
from onnxyard.diagnosis.checks import PARITY, measure
from onnxyard.diagnosis.probes import probes
from onnxyard.diagnosis.proving import prove
from onnxyard.errors import OnnxyardError
from onnxyard.runtimes.graph import read_graph
from onnxyard.sources.source import MODEL_FILE, Asked
from onnxyard.sources.torch.exporting import ways
from onnxyard.sources.torch.reference import TorchModel
from onnxyard.sources.torch.tree import SourceTree

GOLDEN_ROWS = 4
SOURCE = SourceTree((FOLDER,))


@dataclass(frozen=True)
class Attempted:
    """What one exporter made of a case.

    Attributes:
        exported: Whether there is a graph.
        matches: Whether it answers as torch does, within 1e-4 of the output's largest value, at every batch size.
        error: The largest difference, relative; None where the graph does not run.
        seconds: Of the export, and of the checks where they belong to it.
        way: What led to it.
        told: Why not, where not.
        named: Whether a refusal names the right module and line.
    """

    exported: bool
    matches: bool
    error: float | None
    seconds: float
    way: str
    told: str = ""
    named: bool = False


def asked_of(case: Case) -> Asked:
    """What export is asked for."""
    return Asked(
        inputs=case.example(GOLDEN_ROWS, seed=1),
        outputs=case.outputs,
        opset=20,
        axes=case.axes,
        translations=case.translations,
    )


def plain(case: Case) -> Attempted:
    """`torch.onnx.export` as its documentation calls it: one call, the dynamic axes declared, default options."""
    module = case.module()
    example = {name: torch.from_numpy(array) for name, array in case.example(case.rows, seed=0).items()}
    axes = {name: case.axes.get(name, ("batch",)) for name in example}
    dynamic = {
        name: {at: axis for at, axis in enumerate(names) if isinstance(axis, str)} for name, names in axes.items()
    }
    with TemporaryDirectory() as folder, _silence():
        file = Path(folder) / MODEL_FILE
        began = time.perf_counter()
        try:
            torch.onnx.export(
                module, (), file, kwargs=example, dynamic_shapes=dynamic, output_names=list(case.outputs), verbose=False
            )
        except Exception as error:  # noqa: BLE001 - whatever torch raises is its refusal
            return Attempted(
                exported=False,
                matches=False,
                error=None,
                seconds=time.perf_counter() - began,
                way="",
                told=_first_line(error),
            )
        seconds = time.perf_counter() - began
        asked = asked_of(case)
        reference = TorchModel(case.module(), case.outputs)
        asking = probes(asked, reference.run(asked.inputs), reference.run)
        try:
            checked = measure(file, read_graph(file), asking)
        except OnnxyardError as error:
            return Attempted(
                exported=True, matches=False, error=None, seconds=seconds, way="torch.onnx", told=error.detail
            )
        worst = checked.relative_error
        return Attempted(exported=True, matches=worst <= PARITY, error=worst, seconds=seconds, way="torch.onnx")


def ours(case: Case) -> Attempted:
    """Every way we know, proven; the time of capture, checks and comparison included."""
    module, asked = case.module(), asked_of(case)
    reference = TorchModel(module, case.outputs)
    with TemporaryDirectory() as folder, _silence():
        began = time.perf_counter()
        try:
            expected = reference.run(asked.inputs)
            proven = prove(
                ways(module, asked, SOURCE), Path(folder) / "model", asked, expected, reference=reference.run
            )
        except OnnxyardError as error:
            return Attempted(
                exported=False,
                matches=False,
                error=None,
                seconds=time.perf_counter() - began,
                way="",
                told=error.detail,
                named=case.outcome is Outcome.REFUSED and _names(error, case),
            )
        seconds = time.perf_counter() - began
    worst = proven.checked.relative_error
    way = "; ".join(proven.exported.remedies) or "torch.onnx dynamo"
    return Attempted(exported=True, matches=worst <= PARITY, error=worst, seconds=seconds, way=way)


def _names(error: OnnxyardError, case: Case) -> bool:
    return error.where == case.place() and error.facts.get("module", "") == case.path


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]


class _silence(warnings.catch_warnings):  # noqa: N801 - used as a function
    """Torch's exporters log and warn about every case; none of it is a result."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)

    def __exit__(self, *raised: object) -> None:
        logging.disable(logging.NOTSET)
        super().__exit__(*raised)
