"""A project's pre- and postprocessing: what stays outside the graph, and whether training saw the same inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.diagnosis.codes import PROCESSING_OUTSIDE, PROCESSING_SKEW
from onnxyard.parity.error import compare
from onnxyard.project.processing import load_processing
from onnxyard.tensors.files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.subject import Development, Subject
    from onnxyard.lifecycle.finding import Finding
    from onnxyard.project.processing import Processing

_APART = 3.0
"""How many times as wide, or how many widths away, training's values must be: augmentation does not reach that."""


def development(subject: Subject) -> Iterator[Finding]:
    """Everything that is to be said of a project beside its graph; nothing for a bare module.

    Raises:
        UserCodeError: `preprocess` failed, or the project's data cannot be read.
        ArtifactCorruptError: the golden set or the processing cannot be read.
    """
    project = subject.development
    if project is None:
        return
    processing = load_processing(project.processing)
    if processing.folder is not None:
        steps = [name for name in ("preprocess", "postprocess") if getattr(processing, name) is not None]
        yield PROCESSING_OUTSIDE.found(
            f"{' and '.join(steps)} {'travels' if len(steps) == 1 else 'travel'} with the version as Python.",
            source=str(project.project.file.project.processing),
        )
    yield from _golden(project, processing)
    if subject.torch is not None and project.project.functions().has("train"):
        yield from _training(project, processing)


def _golden(project: Development, processing: Processing) -> Iterator[Finding]:
    """The golden set's inputs are what preprocess makes of its raw rows today."""
    made = processing.before(read_tensors(project.golden_set / "raw"))
    apart = compare(read_tensors(project.golden_set / "inputs"), made)
    if apart.max_abs > 0:
        yield PROCESSING_SKEW.found(
            f"preprocess gives other inputs from the same raw rows than when the golden set was made: {apart.where!r} "
            f"differs by {apart.max_abs:.3g}.",
            source=str(project.project.file.project.processing or ""),
            remedy="Take what is random, or depends on the time or the machine, out of preprocess.",
        )


def _training(project: Development, processing: Processing) -> Iterator[Finding]:
    """What train gives the model first lies where what preprocess gives it lies."""
    from onnxyard.diagnosis.doctor.torch.training import first_batch  # noqa: PLC0415 - imports torch

    seen = first_batch(project.project, processing)
    if seen is None:
        return
    for name, fed in seen.fed.items():
        given = seen.given.get(name)
        if given is None or fed.dtype.kind not in "fiu" or given.dtype.kind not in "fiu" or not fed.size:
            continue
        ours, theirs = given.astype(np.float64), fed.astype(np.float64)
        width, other = float(ours.std()), float(theirs.std())
        away = abs(float(theirs.mean()) - float(ours.mean()))
        if max(width, other) > _APART * min(width, other) or away > _APART * max(width, other) > 0:
            yield PROCESSING_SKEW.found(
                f"train gives the model {name!r} {_range(theirs)}; preprocess, and so every client, {_range(ours)}.",
                source=seen.source,
            )


def _range(values: np.ndarray) -> str:
    return f"between {values.min():.4g} and {values.max():.4g} (mean {values.mean():.3g})"
