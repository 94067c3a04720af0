"""A torch module that cannot be traced: the value of every submodule's call, taken by forward hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils import _pytree as pytree

from onnxyard.diagnosis.blame.reference import OUTPUT_PREFIX, Place, TorchSource
from onnxyard.diagnosis.blame.torch_values import VERSION, class_of, line_of, source_of, to_array
from onnxyard.sources.torch.arrays import to_torch
from onnxyard.sources.torch.outputs import flatten

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy as np


class Hooked:
    """A `Reference` over the calls of a module's submodules.

    Args:
        source: The module.
        example: Rows of its inputs: the calls of its submodules are taken from a run on them.
        outputs: The outputs' names.
    """

    def __init__(self, source: TorchSource, example: Mapping[str, np.ndarray], outputs: tuple[str, ...]) -> None:
        self._module = source.module
        self._names = outputs
        self._tree = source.tree or source_of(source.module)
        self._paths = {part: path for path, part in source.module.named_modules() if path}
        self._places = tuple(self._place(name) for name in self.run(example))

    @property
    def name(self) -> str:
        return VERSION

    @property
    def places(self) -> tuple[Place, ...]:
        return self._places

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(OUTPUT_PREFIX + name for name in self._names)

    @property
    def fresh(self) -> None:
        return None

    def run(self, inputs: Mapping[str, np.ndarray], keep: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """What every call of a submodule gives, as `layer1.0#0:0`, in the order they end; and the model's outputs."""
        values: dict[str, np.ndarray] = {}
        calls: dict[str, int] = {}

        def note(part: torch.nn.Module, _: object, given: object) -> None:
            path = self._paths[part]
            call = calls[path] = calls.get(path, -1) + 1
            leaves = [leaf for leaf in pytree.tree_leaves(given) if isinstance(leaf, torch.Tensor)]
            # A copy, because what comes next may work in place.
            values.update({f"{path}#{call}:{at}": to_array(leaf.clone()) for at, leaf in enumerate(leaves)})

        hooks = [part.register_forward_hook(note) for part in self._paths]
        try:
            with torch.inference_mode():
                given = self._module(**{name: to_torch(name, array) for name, array in inputs.items()})
                leaves = flatten(given, self._names)
        finally:
            for hook in hooks:
                hook.remove()
        values.update({OUTPUT_PREFIX + name: to_array(leaf) for name, leaf in leaves.items()})
        return {name: array for name, array in values.items() if keep is None or name in keep}

    def noise(self, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:  # noqa: ARG002 - a module's own rounding is not one operator's
        return {}

    def _place(self, name: str) -> Place:
        path = "" if name.startswith(OUTPUT_PREFIX) else name.partition("#")[0]
        part = self._module.get_submodule(path)
        return Place(name, type(part).__name__, path, class_of(part), line_of(part, self._tree))
