"""Which layer of a Keras model a node of its graph belongs to, by the name scopes that TensorFlow leaves in names."""

from __future__ import annotations

import re
from typing import Any

_NUMBER = re.compile(r"_\d+$")


class Layers:
    """The layers of a model by name; none for a SavedModel, which has none.

    TensorFlow numbers a scope that was entered before: the layer `conv2d` may show as `conv2d_1`, which is the name of
    another layer. Where the model's own scope is numbered, all of them are.
    """

    def __init__(self, model: Any | None) -> None:
        self._name = "" if model is None else str(model.name)
        # nothing public walks nested layers
        self._layers = {} if model is None else {layer.name: layer for layer in model._flatten_layers()}  # noqa: SLF001

    def of(self, node: str) -> Any | None:
        """The innermost layer that a node's (or tensor's) name tells of, as `sequential_1/conv2d_1/Relu`."""
        first, *inner = node.split("/")[:-1] or [""]
        found = None
        for part in inner:
            names = (part, _NUMBER.sub("", part))
            for name in names if first == self._name else reversed(names):
                if name in self._layers:
                    found = self._layers[name]
                    break
        return found
