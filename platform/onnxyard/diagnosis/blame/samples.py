"""Made-up inputs, where nobody has real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort

from onnxyard.errors import InvalidRequestError
from onnxyard.sources.admission.admitting import Trial, admit
from onnxyard.sources.admission.opening import made_up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DRAWS = 4
_FATAL = 4


def sample(model_file: Path) -> dict[str, np.ndarray]:
    """Inputs that a graph runs on: seeded draws of its types, several rows where its first axes are free.

    Args:
        model_file: A file that was admitted; a disposable child runs it on them first.

    Raises:
        InvalidRequestError: it runs on nothing that can be made up.
        UnsupportedModelError: one of them makes it ask for more than it may.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    session = ort.InferenceSession(model_file, sess_options=options, providers=["CPUExecutionProvider"])
    candidates = list(_candidates(session))
    taken = admit(model_file, trial=Trial(candidates, "made-up inputs", enough=1)).ran
    if taken:
        return candidates[taken[0]]
    raise InvalidRequestError(
        "The model runs on no made-up inputs.", where=str(model_file), remedy="Give real ones with --inputs FILE.npz."
    )


def _candidates(session: ort.InferenceSession) -> Iterator[dict[str, np.ndarray]]:
    free = all(value.shape and not isinstance(value.shape[0], int) for value in session.get_inputs())
    for draws in zip(*(made_up(session, seed) for seed in range(_DRAWS)), strict=True):
        if free:
            yield {name: np.concatenate([draw[name] for draw in draws]) for name in draws[0]}
        yield draws[0]
