"""A torch module that belongs to no project."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from onnxyard.sources.torch.arrays import to_numpy, to_torch
from onnxyard.sources.torch.exporting import ways
from onnxyard.sources.torch.forward import RAISED, raised
from onnxyard.sources.torch.outputs import names_of
from onnxyard.sources.torch.reference import TorchModel
from onnxyard.sources.torch.tree import SourceTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from onnxyard.sources.source import Asked, Attempt


class NamelessModule:
    """Its inputs and outputs by name, its reference and its ways to a graph; in eval mode while inside.

    Args:
        module: Any module.
        example: At least two rows of each input.
        outputs: The outputs' names; None asks the module.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        example: Mapping[str, np.ndarray | torch.Tensor],
        outputs: Sequence[str] | None,
    ) -> None:
        self._module = module
        self._modes: list[tuple[torch.nn.Module, bool]] = []
        self._named = outputs
        self.inputs = {
            name: to_numpy(name, value) if isinstance(value, torch.Tensor) else np.asarray(value)
            for name, value in example.items()
        }
        self.outputs: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self._modes = [(part, part.training) for part in self._module.modules()]
        self._module.eval()
        try:
            self.outputs = tuple(self._named) if self._named is not None else self._ask()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part, training in self._modes:
            part.training = training

    def reference(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the module itself answers."""
        return TorchModel(self._module, self.outputs).run(inputs)

    def ways(self, asked: Asked) -> Iterator[Attempt]:
        """As `onnxyard.sources.torch.exporting.ways`, with the folder of the module's class as the user's source."""
        return ways(self._module, asked, SourceTree(_folder_of(type(self._module))))

    def _ask(self) -> tuple[str, ...]:
        tensors = {name: to_torch(name, values) for name, values in self.inputs.items()}
        try:
            with torch.inference_mode():
                return names_of(self._module(**tensors))
        except RAISED as error:
            raise raised(error) from error


def _folder_of(kind: type[torch.nn.Module]) -> tuple[Path, ...]:
    """The folder that holds the class; none for torch's own, and for one made in an interactive session."""
    if kind.__module__.partition(".")[0] == "torch":
        return ()
    try:
        file = inspect.getsourcefile(kind)
    except TypeError:
        return ()
    return (Path(file).resolve().parent,) if file else ()
