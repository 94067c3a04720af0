"""How far two correct computations of one model may be apart: measured on the model, never assumed.

The model is asked again with every weight and every input off by up to 128 units in the last place (as in Monte Carlo
arithmetic: D. Stott Parker, 1997), and once in float64. What its answers change by then is noise: an ill-conditioned or
random deep model, a large magnitude or a decision at a tie makes it as large as it has to be.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import OnnxyardError
from onnxyard.parity.error import compare
from onnxyard.tensors.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxyard.diagnosis.doctor.torch.reference import TorchReference
    from onnxyard.ports.runtime import LoadedModel

ULPS = 128
_DRAWS = 3
_SEED = 20


class Noise:
    """The noise of one reference.

    Args:
        reference: The reference.
        torch: A look inside, for torch models.
        example: A few rows, to see which types it computes in.
    """

    def __init__(self, reference: LoadedModel, torch: TorchReference | None, example: Mapping[str, np.ndarray]) -> None:
        self._reference = reference
        self._torch = torch
        self._example = example

    @cached_property
    def epsilon(self) -> float:
        """The rounding unit that the reference computes with."""
        return float(np.finfo(np.float32).eps) if self._torch is None else self._torch.epsilon(self._example)

    def tolerance(
        self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], epsilon: float
    ) -> dict[str, float]:
        """By output: the largest difference that is still noise; infinite where the model cannot make up its mind.

        Args:
            inputs: The question.
            outputs: The reference's answer.
            epsilon: The rounding unit; see `epsilon`.
        """
        found = {name: rounding(array, epsilon) for name, array in outputs.items()}
        for again, weight in self._again(inputs, epsilon):
            for name, array in outputs.items():
                moved = compare({name: array}, {name: again[name]} if name in again else {}).max_abs
                found[name] = max(found[name], weight * moved)
        return found

    def _again(
        self, inputs: Mapping[str, np.ndarray], epsilon: float
    ) -> Iterator[tuple[Mapping[str, np.ndarray], float]]:
        random = np.random.default_rng(_SEED)
        for _ in range(_DRAWS):
            try:
                if self._torch is not None:
                    yield self._torch.perturbed(inputs, ULPS * epsilon, random), 1.0
                else:
                    yield self._reference.run(_off(inputs, ULPS * epsilon, random)), 1.0
            except (OnnxyardError, RuntimeError, TypeError, ValueError, LookupError, ArithmeticError):
                return  # at this point it is at the edge of what the model takes at all
        if self._torch is not None:
            try:
                exact = self._torch.in_double(inputs)
            except (OnnxyardError, RuntimeError, TypeError, ValueError, LookupError, ArithmeticError):
                return  # it mixes in float32 tensors of its own making
            yield exact, ULPS / 2


def rounding(array: np.ndarray, epsilon: float) -> float:
    """What rounding alone may do to values of this size."""
    if not is_floating(array.dtype) or not array.size:
        return 0.0
    sizes = np.abs(array.astype(np.complex128 if array.dtype.kind == "c" else np.float64))
    return ULPS / 2 * epsilon * float(np.max(sizes, where=np.isfinite(sizes), initial=0.0))


def _off(inputs: Mapping[str, np.ndarray], relative: float, random: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        name: (array * (1 + relative * random.uniform(-1, 1, array.shape))).astype(array.dtype)
        if array.dtype.kind == "f"
        else array
        for name, array in inputs.items()
    }
