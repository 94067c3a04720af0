"""One case, exported plainly and by us, both judged on the same inputs."""

from __future__ import annotations

import io
import logging
import time
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch

from benchmarks.export.case import FOLDER, Case, Outcome
from onnxyard.diagnosis.checks import measure
from onnxyard.diagnosis.doctor import examination
from onnxyard.diagnosis.doctor.subject import Subject
from onnxyard.diagnosis.probes import probes
from onnxyard.diagnosis.proving import prove
from onnxyard.errors import OnnxyardError
from onnxyard.lifecycle.finding import Finding, Severity
from onnxyard.runtimes.graph import read_graph
from onnxyard.sources.source import MODEL_FILE, Asked
from onnxyard.sources.torch.reference import TorchModel

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN_ROWS = 4


@dataclass(frozen=True)
class Attempted:
    """What one exporter made of a case.

    Attributes:
        exported: Whether there is a graph.
        matches: Whether it answers as torch does, within 1e-4 of the output's largest value (in float16: four
            rounding steps), at every batch size.
        error: The largest difference, relative; None where the graph does not run.
        seconds: Of the export, and of the checks where they belong to it.
        way: What led to it.
        told: Why not, where not.
        named: Whether a refusal names the right module and line.
        findings: The codes of what the doctor warns of.
        doctor_seconds: Of the whole examination; 0 where no doctor was asked.
    """

    exported: bool
    matches: bool
    error: float | None
    seconds: float
    way: str
    told: str = ""
    named: bool = False
    findings: tuple[str, ...] = ()
    doctor_seconds: float = 0.0


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
    with TemporaryDirectory() as folder, silence():
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
        return Attempted(exported=True, matches=checked.holds, error=worst, seconds=seconds, way="torch.onnx")


def ours(case: Case) -> Attempted:
    """The doctor's examination: every way we know, proven, and everything the doctor looks for."""
    module, inputs = case.module(), case.example(GOLDEN_ROWS, seed=1)
    with TemporaryDirectory() as folder, silence(), _proof_timed() as proofs:
        began = time.perf_counter()
        try:
            examined = examination.examine(
                Subject.of_module(
                    module,
                    inputs,
                    outputs=case.outputs,
                    axes=case.axes,
                    translations=case.translations,
                    roots=(FOLDER,),
                ),
                Path(folder) / "model",
            )
        except OnnxyardError as error:
            taken = time.perf_counter() - began
            told = f"the doctor itself fails: {error.detail.splitlines()[0]}"
            return Attempted(
                exported=False, matches=False, error=None, seconds=taken, way="", told=told, doctor_seconds=taken
            )
        doctor = time.perf_counter() - began
    findings = tuple(finding for finding in examined.findings if finding.severity is not Severity.NOTE)
    told = "; ".join(f"{finding.code}: {finding.what}" for finding in findings)
    codes = tuple(sorted({finding.code for finding in findings}))
    seconds = proofs[0] if proofs else doctor
    if examined.proven is None:
        named = case.outcome is Outcome.REFUSED and any(_names(finding, case) for finding in findings)
        return Attempted(
            exported=False,
            matches=False,
            error=None,
            seconds=seconds,
            way="",
            told=told,
            named=named,
            findings=codes,
            doctor_seconds=doctor,
        )
    worst = examined.proven.checked.relative_error
    return Attempted(
        exported=True,
        matches=examined.proven.checked.holds,
        error=worst,
        seconds=seconds,
        way="; ".join(examined.proven.exported.remedies) or "torch.onnx dynamo",
        told=told,
        findings=codes,
        doctor_seconds=doctor,
    )


@contextmanager
def _proof_timed() -> Iterator[list[float]]:
    """How long export and checks take within an examination: the rest is the doctor's own."""
    taken: list[float] = []

    def timed(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return prove(*arguments, **named)
        finally:
            taken.append(time.perf_counter() - began)

    with patch.object(examination, "prove", timed):
        yield taken


def _names(finding: Finding, case: Case) -> bool:
    return (finding.code, finding.module, finding.source) == (case.finding, case.path, case.place())


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]


@contextmanager
def silence() -> Iterator[None]:
    """Torch's exporters print, log and warn about every case; none of it is a result."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
