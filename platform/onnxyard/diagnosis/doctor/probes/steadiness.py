"""Does the model itself answer one question alike each time?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import UNSTEADY_MODEL
from onnxyard.diagnosis.doctor.live_layers import live_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding


def probe(case: Case) -> Iterator[Finding]:
    """A model that wavers where its graph does not: by what it remembers, or draws outside of torch.

    Where the graph wavers too, or a layer in training mode accounts for it, others have told.
    """
    torch = case.subject.torch
    if torch is None or not case.model_wavers or case.graph_wavers or any(live_layers(case.subject)):
        return
    told = "The model gives two answers to one question, the graph the same one each time"
    if (kept := torch.remembered(case.few)) is not None:
        yield UNSTEADY_MODEL.found(
            f"{told}: forward changes the buffer {kept.buffer!r}.", module=kept.module, source=kept.source
        )
        return
    parted = torch.parting(case.few, {name: array.copy() for name, array in case.few.items()})
    if parted is None:
        yield UNSTEADY_MODEL.found(f"{told}.")
        return
    yield UNSTEADY_MODEL.found(
        f"{told}: what Python decides or passes here is another one each time.",
        module=parted.module,
        source=parted.source,
    )
