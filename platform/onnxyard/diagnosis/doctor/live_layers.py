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
    live = [] if subject.torch is None else subject.torch.live(subject.asked.inputs)
    seen = {kind for kind in {kind for kind, _ in live} if _EFFECTS[kind](subject)}
    for kind, call in live:
        if kind in seen:
            whose = f"of {call.module!r}" if call.module else "of the model"
            yield TRAINING_MODE.found(
                f"The {kind} {whose} is in training mode although the model is in eval mode: {_TOLD[kind]}.",
                module=call.module,
                source=call.source,
            )


_EFFECTS = {
    "dropout": lambda subject: wavers(subject.reference, (trials.few_rows(subject.asked, 2), subject.asked.inputs)),
    "batch norm": mixes_rows,
}
