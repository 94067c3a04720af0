"""Made-up inputs, where nobody has real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort

from onnxyard.diagnosis.blame.probe import NodeFailedError, probing
from onnxyard.errors import InvalidRequestError
from onnxyard.sources.admission.opening import made_up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DRAWS = 4
_FATAL = 4


def sample(model_file: Path) -> dict[str, np.ndarray]:
    """Inputs that a graph runs on: seeded draws of its types, several rows where its first axes are free.

    Raises:
        InvalidRequestError: it runs on nothing that can be made up.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    session = ort.InferenceSession(model_file, sess_options=options, providers=["CPUExecutionProvider"])
    with probing(model_file) as probe:
        for inputs in _candidates(session):
            try:
                probe.run(inputs, probe.outputs)
            except NodeFailedError:
                continue
            return inputs
    raise InvalidRequestError(
        "The model runs on no made-up inputs.", where=str(model_file), remedy="Give real ones with --inputs FILE.npz."
    )


def _candidates(session: ort.InferenceSession) -> Iterator[dict[str, np.ndarray]]:
    free = all(value.shape and not isinstance(value.shape[0], int) for value in session.get_inputs())
    for draws in zip(*(made_up(session, seed) for seed in range(_DRAWS)), strict=True):
        if free:
            yield {name: np.concatenate([draw[name] for draw in draws]) for name in draws[0]}
        yield draws[0]
