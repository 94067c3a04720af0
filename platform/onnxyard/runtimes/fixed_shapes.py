"""A model on a provider that compiles for fixed shapes only: a session for each set of lengths that is asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from onnxyard.runtimes.inputs import check_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from onnxyard.lifecycle.signature import Signature
    from onnxyard.ports.runtime import LoadedModel

KEPT = 8
"""Sessions that stay loaded: batch sizes that matter are few."""


class FixedShapes:
    """A `LoadedModel` over several. Many threads may call `run`; they wait for one another while one compiles.

    Args:
        signature: With its free axes.
        load: Loads the model for lengths of the free axes, by name.

    Raises as `load`, which is tried with one row at once.
    """

    def __init__(self, signature: Signature, load: Callable[[Mapping[str, int]], LoadedModel]) -> None:
        self._signature = signature
        self._load = load
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[tuple[str, int], ...], LoadedModel] = OrderedDict()
        axes = {axis for spec in signature.inputs for axis in spec.shape if isinstance(axis, str)}
        self._first = self._for(dict.fromkeys(axes, 1))

    @property
    def signature(self) -> Signature:
        return self._signature

    @property
    def runtime(self) -> str:
        return self._first.runtime

    @property
    def provider(self) -> str:
        return self._first.provider

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name. Raises as `LoadedModel.run`, and as `load` for lengths that it cannot compile for."""
        check_inputs(self._signature, inputs)
        return self._for(lengths_of(self._signature, inputs)).run(inputs)

    def _for(self, lengths: Mapping[str, int]) -> LoadedModel:
        key = tuple(sorted(lengths.items()))
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = self._load(lengths)
                if len(self._loaded) > KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]


def lengths_of(signature: Signature, inputs: Mapping[str, np.ndarray]) -> dict[str, int]:
    """The length of every free axis, by name; the inputs fit the signature."""
    return {
        axis: length
        for spec in signature.inputs
        for axis, length in zip(spec.shape, inputs[spec.name].shape, strict=True)
        if isinstance(axis, str)
    }
