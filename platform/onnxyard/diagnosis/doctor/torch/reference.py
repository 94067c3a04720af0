"""The torch module behind a reference, seen from inside."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call

from onnxyard.diagnosis.doctor.torch.decision import Parting, parting
from onnxyard.diagnosis.doctor.torch.memory import Remembered, remembered
from onnxyard.diagnosis.doctor.torch.walk import Call, Walk, stumble, walk
from onnxyard.sources.torch.arrays import to_numpy, to_torch
from onnxyard.sources.torch.forward import RAISED, raised
from onnxyard.sources.torch.outputs import flatten, names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np

    from onnxyard.sources.torch.tree import SourceTree

_DROPOUTS = frozenset({"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"})
"""Functions with a probability and `training` as their first numbers."""


class TorchReference:
    """Looks inside a torch module."""

    def __init__(self, module: torch.nn.Module, outputs: tuple[str, ...], source: SourceTree) -> None:
        self.module = module
        self.source = source
        self._outputs = outputs
        self._walks: dict[tuple[int, ...], Walk] = {}
        self._kept: list[Mapping[str, np.ndarray]] = []

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """Torch's threads would wait for each other longer than a few rows take, and add up in another order."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    def walk(self, inputs: Mapping[str, np.ndarray]) -> Walk:
        """The module's calls for these inputs; made once per set of arrays."""
        key = tuple(id(array) for array in inputs.values())
        if key not in self._walks:
            self._kept.append(inputs)  # an id is one array's only as long as the array lives
            self._walks[key] = walk(self.module, _tensors(inputs), self.source)
        return self._walks[key]

    def parting(self, example: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> Parting | None:
        """Where Python goes another way, or takes another number from a tensor, for `other` than for `example`."""
        same = all(example[name].shape == array.shape for name, array in other.items())
        return parting(self.walk(example), self.walk(other), self._read, same_shapes=same)

    def stumble(self, inputs: Mapping[str, np.ndarray]) -> tuple[str, str] | None:
        """Where the module raises for these inputs: path of the module and `file:line`; None where it does not."""
        return stumble(self.module, _tensors(inputs), self.source)

    def remembered(self, inputs: Mapping[str, np.ndarray]) -> Remembered | None:
        """The first buffer that a call changes; None where it changes none, or does not take the inputs."""
        try:
            return remembered(self.module, _tensors(inputs), self.source)
        except RAISED:
            return None

    def epsilon(self, inputs: Mapping[str, np.ndarray]) -> float:
        """The rounding unit of the coarsest type that the module computes in: of double, 2.2e-16."""
        return max((torch.finfo(kind).eps for kind in self.walk(inputs).floats), default=torch.finfo(torch.float32).eps)

    def perturbed(
        self, inputs: Mapping[str, np.ndarray], relative: float, random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The outputs with every weight and every input off by up to `relative` of its own size."""
        draw = torch.Generator().manual_seed(int(random.integers(2**31)))

        def off(tensor: torch.Tensor) -> torch.Tensor:
            if not tensor.is_floating_point():
                return tensor
            noise = torch.rand(tensor.shape, generator=draw, dtype=torch.float64) * 2 - 1
            return (tensor.double() * (1 + relative * noise)).to(tensor.dtype)

        return self._with({name: off(tensor) for name, tensor in self._state().items()}, _each(inputs, off))

    def in_double(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs computed in float64, as far as the module lets itself be computed so."""

        def double(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.double() if tensor.is_floating_point() else tensor

        return self._with({name: double(tensor) for name, tensor in self._state().items()}, _each(inputs, double))

    def live(self, inputs: Mapping[str, np.ndarray]) -> list[tuple[str, Call]]:
        """The calls of what training changes, made as in training: `dropout` or `batch norm`, and the call."""
        found = []
        for call in self.walk(inputs).calls:
            if call.function in _DROPOUTS and call.numbers[:1] != (0,) and call.numbers[1:2] == (True,):
                found.append(("dropout", call))
            elif call.function == "batch_norm" and any(number is True for number in call.numbers):
                found.append(("batch norm", call))
        return found

    def line_of(self, module: str, inputs: Mapping[str, np.ndarray], *, function: str = "") -> str:
        """`file:line` that leads into a module; of a certain function where that is named."""
        calls = self.walk(inputs).calls
        near = (call for call in calls if call.module == module and function in {"", call.function})
        return next((call.source for call in near if call.source), "")

    def tied(self) -> list[list[str]]:
        """Groups of parameter names that are one parameter."""
        groups: dict[int, list[str]] = {}
        for name, parameter in self.module.named_parameters(remove_duplicate=False):
            groups.setdefault(id(parameter), []).append(name)
        return [names for names in groups.values() if len(names) > 1]

    def weight(self, name: str) -> np.ndarray:
        """A parameter's values. Raises TypeError for a type that numpy does not have."""
        return self.module.get_parameter(name).detach().cpu().numpy()

    def _state(self) -> dict[str, torch.Tensor]:
        return {**dict(self.module.named_parameters()), **dict(self.module.named_buffers())}

    def _with(self, state: dict[str, torch.Tensor], inputs: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            given = flatten(functional_call(self.module, state, (), inputs), self._outputs)
            return {name: to_numpy(name, tensor) for name, tensor in given.items()}

    def _read(self, name: str) -> str:
        file = next(path for root in self.source.roots if (path := root / name).is_file())
        return file.read_text(encoding="utf-8")


def _tensors(inputs: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: to_torch(name, array) for name, array in inputs.items()}


def _each(inputs: Mapping[str, np.ndarray], change: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: change(tensor) for name, tensor in _tensors(inputs).items()}


def names_by_running(module: torch.nn.Module, example: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Names for a module's outputs; see `onnxyard.sources.torch.outputs.names_of`.

    Raises:
        UserCodeError: `forward` raised.
    """
    with torch.inference_mode():
        try:
            return names_of(module(**_tensors(example)))
        except RAISED as error:
            raise raised(error) from error
