"""What a model answers on a split: the way optimize and validate both ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import InvalidRequestError, UnsupportedModelError, UserCodeError
from onnxyard.project.evaluation import predict
from onnxyard.project.protocols import Targets
from onnxyard.project.split import pick

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxyard.ports.runtime import LoadedModel
    from onnxyard.project.functions import Functions
    from onnxyard.project.processing import Processing
    from onnxyard.project.split import Split


@dataclass(frozen=True, slots=True)
class Answers:
    """A model's outputs for a whole split.

    Attributes:
        outputs: By name, all rows (before `postprocess`, which is what `metrics` takes).
        targets: One per row.
    """

    outputs: dict[str, np.ndarray]
    targets: Targets

    @property
    def rows(self) -> int:
        """Rows."""
        return len(self.targets)

    def scores(self, functions: Functions) -> dict[str, float]:
        """The project's metrics on all rows. Raises UserCodeError."""
        return functions.metrics(self.targets, self.outputs)

    def resampled(self, functions: Functions) -> Callable[[np.ndarray], dict[str, float]]:
        """The project's metrics as a function of row numbers, for the bootstrap.

        A metric may be undefined on a resample (the area under a ROC curve needs both classes): where `metrics` raises
        or is not finite there, and only there, the resample counts as NaN. On all rows as they are it must not raise.
        """
        names = list(self.scores(functions))

        def metrics(rows: np.ndarray) -> dict[str, float]:
            outputs = {name: values[rows] for name, values in self.outputs.items()}
            try:
                return functions.metrics(pick(self.targets, rows), outputs)
            except UserCodeError:
                return dict.fromkeys(names, float("nan"))

        return metrics


def answer(model: LoadedModel, processing: Processing, split: Split) -> Answers:
    """Run every row of `split` through preprocess and the model.

    Raises:
        UnsupportedModelError: an output has more or fewer rows than went in.
        UserCodeError: as `onnxyard.project.evaluation.predict`.
    """
    targets, outputs = predict(split, processing, model.run)
    for name, values in outputs.items():
        if len(values) != len(targets):
            raise UnsupportedModelError(f"The model gives {len(values)} rows of {name!r} for {len(targets)} rows.")
    return Answers(outputs, targets)


def metric_of(scores: dict[str, float], name: str, *, where: str) -> float:
    """The metric called `name`. Raises InvalidRequestError naming those there are."""
    if name not in scores:
        raise InvalidRequestError(
            f"The project's metrics do not include {name!r}.",
            where=where,
            remedy=f"They are {', '.join(sorted(scores))}.",
        )
    return scores[name]
