"""The examination: before export what blocks it, after export what the graph does otherwise than the model."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from onnxyard.diagnosis.doctor.blocked import blockers, unsupported_outputs
from onnxyard.diagnosis.doctor.case import Case
from onnxyard.diagnosis.doctor.development import development
from onnxyard.diagnosis.doctor.probes.all import PROBES
from onnxyard.diagnosis.gravity import exit_code, in_order
from onnxyard.diagnosis.proving import Proven, prove
from onnxyard.errors import UnsupportedModelError
from onnxyard.lifecycle.finding import Finding
from onnxyard.sources.source import MODEL_FILE

if TYPE_CHECKING:
    from onnxyard.diagnosis.doctor.subject import Subject
    from onnxyard.sources.source import Exported


@dataclass(frozen=True, slots=True)
class Examination:
    """What the doctor found.

    Attributes:
        findings: The gravest first.
        proven: The export that passed the checks; None where none did.
    """

    findings: tuple[Finding, ...]
    proven: Proven | None

    @property
    def exit_code(self) -> int:
        """0 clean (notes do not count), 1 works with findings, 7 blocked."""
        return exit_code(self.findings)


def examine(subject: Subject, folder: Path | None = None) -> Examination:
    """Export a model, prove the export, and ask model and graph what may be wrong with it.

    Args:
        subject: `Subject.of_project(...)` or `Subject.of_module(module, example)`.
        folder: Where the graph is left (`model.onnx`); a scratch folder by default.

    Raises:
        InvalidRequestError: what is asked makes no sense (axes that do not fit the data, fewer than two rows).
        UserCodeError: the project's own code failed.
    """
    if folder is None:
        with TemporaryDirectory(prefix="onnxyard-doctor-") as scratch:
            return examine(subject, Path(scratch) / "model")
    proven = _proven(subject, folder)
    if isinstance(proven, UnsupportedModelError):
        return Examination(in_order((*blockers(subject, proven, folder), *development(subject))), None)
    found = look(subject, proven.exported, folder / MODEL_FILE)
    return Examination(in_order((*found, *development(subject))), proven)


def _proven(subject: Subject, folder: Path) -> Proven | UnsupportedModelError:
    """The proof, or why there is none. What comes next is not raised in this error's context: refusals read that."""
    for finding in unsupported_outputs(subject):
        return UnsupportedModelError(finding.what)  # looked at before anything is exported
    try:
        return prove(
            subject.ways(subject.asked), folder, subject.asked, subject.expected, reference=subject.reference.run
        )
    except UnsupportedModelError as failure:
        return failure


def look(subject: Subject, exported: Exported, model_file: Path) -> tuple[Finding, ...]:
    """What the graph does otherwise than the model: the part of an examination that comes after a proven export.

    Args:
        subject: The model.
        exported: What the attempt gave.
        model_file: The graph it wrote.

    Raises:
        UnsupportedModelError, ArtifactCorruptError: ONNX Runtime cannot load the graph.
    """
    case = Case(subject, exported, model_file)
    with nullcontext() if subject.torch is None else subject.torch.one_thread():
        return in_order([finding for probe in PROBES for finding in probe(case)])
