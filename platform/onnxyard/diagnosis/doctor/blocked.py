"""Why no way leads to a graph: everything that stands in it, not the first thing alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.diagnosis.codes import EXPORT_FAILED, OPSET_UNREACHABLE, UNSUPPORTED_OUTPUT
from onnxyard.diagnosis.doctor.case import Case
from onnxyard.diagnosis.doctor.live_layers import live_layers
from onnxyard.diagnosis.doctor.probes.all import PROBES
from onnxyard.diagnosis.proving import empty, prove
from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, UnsupportedModelError
from onnxyard.lifecycle.finding import Severity
from onnxyard.sources.source import MODEL_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnxyard.diagnosis.doctor.subject import Subject
    from onnxyard.lifecycle.finding import Finding

FIX = "set-opset"
_SAFE_OPSETS = (18, 20)
"""What torch's exporter writes without a converter, the lowest first."""


def blockers(subject: Subject, failure: UnsupportedModelError, folder: Path) -> Iterator[Finding]:
    """What blocks the export, and what the graphs say that were made and not accepted.

    Args:
        subject: The model.
        failure: What proving said.
        folder: Scratch for further attempts; it does not exist afterwards.
    """
    found = [*unsupported_outputs(subject), *_inside(subject)]
    if not found:
        found += _opset(subject, folder)
    yield from found
    if all(finding.severity is not Severity.BLOCKED for finding in found):
        yield EXPORT_FAILED.found(
            failure.detail,
            module=str(failure.facts.get("module", "")),
            source=failure.where,
            remedy=failure.remedy,
        )
    if not found:
        seen = list(_seen_in_a_graph(subject, folder))
        yield from seen
        if not seen:
            yield from live_layers(subject)


def unsupported_outputs(subject: Subject) -> Iterator[Finding]:
    """Outputs of types that a graph cannot give."""
    try:
        outputs = subject.expected
    except UnsupportedModelError as error:
        yield UNSUPPORTED_OUTPUT.found(error.detail, source=_last_line(subject), remedy=error.remedy)
        return
    for name, array in outputs.items():
        if np.iscomplexobj(array):
            yield UNSUPPORTED_OUTPUT.found(
                f"The output {name!r} is complex ({array.dtype}).", source=_last_line(subject)
            )


def _last_line(subject: Subject) -> str:
    calls = () if subject.torch is None else subject.torch.walk(subject.asked.inputs).calls
    return calls[-1].source if calls else ""


def _inside(subject: Subject) -> list[Finding]:
    if subject.torch is None:
        return []
    from onnxyard.diagnosis.doctor.torch.obstacles import obstacles  # noqa: PLC0415 - imports torch

    return list(obstacles(subject, subject.torch))


def _opset(subject: Subject, folder: Path) -> Iterator[Finding]:
    """Another opset that works, where the one that was asked for is what is in the way."""
    asked = subject.asked
    for opset in _SAFE_OPSETS:
        if asked.opset is None or opset == asked.opset:
            continue
        wanted = replace(asked, opset=opset)
        try:
            proven = prove(subject.ways(wanted), folder, wanted, subject.expected, reference=subject.reference.run)
        except (UnsupportedModelError, InvalidRequestError):
            continue
        finally:
            empty(folder).rmdir()
        if proven.checked.holds:
            yield OPSET_UNREACHABLE.found(
                f"No way leads to opset {asked.opset}; opset {opset} works.",
                remedy=f"Ask for it: [export] opset = {opset}.",
                node=f"opset {opset}",
                fix=FIX if subject.development is not None else "",
            )
            return


def _seen_in_a_graph(subject: Subject, folder: Path) -> Iterator[Finding]:
    """The first graph that can be made and loaded at all shows what is wrong with it."""
    try:
        for attempt in subject.ways(subject.asked):
            try:
                case = Case(subject, attempt.make(empty(folder) / MODEL_FILE), folder / MODEL_FILE)
                found = [finding for probe in PROBES for finding in probe(case)]
            except (UnsupportedModelError, InvalidRequestError, ArtifactCorruptError):
                continue
            yield from (finding for finding in found if finding.severity is Severity.WARNING)
            return
    except UnsupportedModelError:
        return  # as for an opset that no exporter knows
    finally:
        empty(folder).rmdir()
