"""A model of a table, in its own framework: the reference that every derived model is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import InvalidRequestError, UserCodeError
from onnxyard.lifecycle.signature import Signature
from onnxyard.sources.observed import observed
from onnxyard.sources.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnxyard.project.project import Project


class TableModel:
    """A `LoadedModel` over a fitted estimator. Many threads may call `run`, as far as the estimator allows.

    Answers come as an endpoint gives them: floats as float32 whatever the framework computes in, whole numbers and
    booleans as int64, texts as str.

    Args:
        project: Names the outputs and the columns.
        answer: Gives all outputs for a table and its inputs, in order.
        features: The columns it was fitted on; None where it was fitted on an array.
        runtime: As `scikit-learn 1.9.0`.
    """

    def __init__(
        self,
        project: Project,
        answer: Callable[[Table, Mapping[str, np.ndarray]], Sequence[np.ndarray]],
        *,
        features: Sequence[str] | None,
        runtime: str,
    ) -> None:
        self._outputs = project.file.project.outputs
        self._columns = project.file.project.columns
        self._answer = answer
        self._features = features
        self._runtime = runtime
        self._signature = Signature((), ())

    @property
    def signature(self) -> Signature:
        """As of the latest run: an estimator does not say beforehand what it takes. Empty before the first one."""
        return self._signature

    @property
    def runtime(self) -> str:
        return self._runtime

    @property
    def provider(self) -> str:
        return "cpu"

    def table(self, inputs: Mapping[str, np.ndarray]) -> Table:
        """The inputs' columns in the order it was fitted on. Raises as `Table.of` and `Table.ordered`."""
        return Table.of(inputs, self._columns).ordered(self._features)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name.

        Raises:
            InvalidRequestError: an input is no column or group of columns; or the project names another number of
                outputs than the model gives.
            UserCodeError: the model was fitted on other columns, or failed.
        """
        table = self.table(inputs)
        try:
            answers = self._answer(table, inputs)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError) as error:
            lines = str(error).strip().splitlines() or [""]
            raise UserCodeError(f"The model fails on these inputs: {type(error).__name__}: {lines[0]}") from error
        if len(answers) != len(self._outputs):
            raise InvalidRequestError(
                f"The model gives {len(answers)} outputs, the project names {len(self._outputs)}: "
                f"{', '.join(self._outputs)}.",
                where="[project] outputs",
                remedy="First comes what predict gives, then (of a classifier) the probabilities or scores.",
            )
        outputs = {name: plain(answer) for name, answer in zip(self._outputs, answers, strict=True)}
        self._signature = observed(inputs, outputs)
        return outputs


def plain(answer: np.ndarray) -> np.ndarray:
    """An answer in the dtype that an endpoint gives: FLOAT, INT64 or STRING (object holding str)."""
    array = np.asarray(answer)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.kind in "biu":
        return array.astype(np.int64)
    return np.array([str(text) for text in array.ravel().tolist()], dtype=object).reshape(array.shape)
