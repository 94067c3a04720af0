"""Layers that are still in training mode after `eval()`: seen by what they do to the model's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import TRAINING_MODE
from onnxyard.diagnosis.doctor import trials
from onnxyard.diagnosis.doctor.steadiness import mixes_rows, wavers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.subject import Subject
    from onnxyard.lifecycle.finding import Finding

_TOLD = {"dropout": "two answers to one question differ", "batch norm": "a row's answer depends on its neighbours"}


def live_layers(subject: Subject) -> Iterator[Finding]:
    """Every layer in training mode that is seen in the answers: random, or other in another batch."""
    torch = subject.torch
    live = torch.live() if torch is not None else {}
    if torch is None or not live:
        return
    seen = {kind for kind in set(live.values()) if _EFFECTS[kind](subject)}
    for path, kind in live.items():
        if kind in seen:
            yield TRAINING_MODE.found(
                f"The {kind} {path!r} is in training mode although the model is in eval mode: {_TOLD[kind]}.",
                module=path,
                source=torch.line_of(path, subject.asked.inputs),
            )


_EFFECTS = {
    "dropout": lambda subject: wavers(subject.reference, trials.few_rows(subject.asked, 2)),
    "batch norm": mixes_rows,
}
