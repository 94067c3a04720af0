"""A torch module as develop left it: the reference that every derived model is compared with."""

from __future__ import annotations

from importlib import metadata
from inspect import signature as parameters_of
from typing import TYPE_CHECKING

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, UserCodeError
from onnxyard.lifecycle.signature import Signature
from onnxyard.project.functions import Kinds
from onnxyard.sources.observed import observed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import torch

    from onnxyard.project.project import Project

WEIGHTS = "weights.safetensors"


def module_kind() -> Kinds:
    """What `model` and `train` of a torch project must give."""
    from torch import nn  # noqa: PLC0415 - heavy, and only where a torch project runs

    return Kinds((nn.Module,), "a torch.nn.Module")


def load_module(project: Project, folder: Path) -> torch.nn.Module:
    """The project's module with its stored weights, in eval mode and without gradients.

    Raises:
        ArtifactCorruptError: the weights are not there, or cannot be read.
        UserCodeError: `model(config)` failed, or gives another architecture than the weights are for.
    """
    from safetensors import SafetensorError  # noqa: PLC0415 - the `torch` extra
    from safetensors.torch import load_file  # noqa: PLC0415 - as above

    weights = folder / WEIGHTS
    module: torch.nn.Module = project.functions().model(gives=module_kind())
    try:
        module.load_state_dict(load_file(weights), strict=True)
    except (OSError, SafetensorError) as error:
        raise ArtifactCorruptError(f"The weights cannot be read: {error}", where=str(weights)) from error
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserCodeError(
            f"The weights do not fit what model(config) gives: {' '.join(lines[:3])}",
            remedy="The architecture must be the one that was trained: run develop again.",
        ) from error
    return module.eval().requires_grad_(requires_grad=False)


class TorchModel:
    """A `LoadedModel` over a torch module. Modules in eval mode hold no state, so many threads may call `run`."""

    def __init__(self, module: torch.nn.Module, outputs: tuple[str, ...]) -> None:
        self._module = module
        self._names = outputs
        self._parameters = list(parameters_of(module.forward).parameters)
        self._signature = Signature((), ())

    @property
    def module(self) -> torch.nn.Module:
        """The module itself."""
        return self._module

    @property
    def signature(self) -> Signature:
        """As of the latest run: a torch module does not say beforehand what it takes. Empty before the first one."""
        return self._signature

    @property
    def runtime(self) -> str:
        return f"torch {metadata.version('torch').partition('+')[0]}"

    @property
    def provider(self) -> str:
        return "cpu"

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name.

        Raises:
            InvalidRequestError: an input that `forward` has no parameter for.
            UserCodeError: `forward` raised, or gave something else than the outputs the project names.
            UnsupportedModelError: an output is optional (None), a sequence, or of a dtype that numpy cannot hold.
        """
        import torch  # noqa: PLC0415 - heavy; the module that is run has imported it already

        from onnxyard.sources.torch.arrays import to_numpy, to_torch  # noqa: PLC0415 - imports torch
        from onnxyard.sources.torch.forward import RAISED, raised  # noqa: PLC0415 - imports torch
        from onnxyard.sources.torch.outputs import flatten  # noqa: PLC0415 - as above

        if unknown := sorted(inputs.keys() - set(self._parameters)):
            raise InvalidRequestError(f"forward({', '.join(self._parameters)}) does not take {unknown[0]!r}.")
        tensors = {name: to_torch(name, array) for name, array in inputs.items()}
        with torch.inference_mode():
            try:
                given = self._module(**tensors)
            except RAISED as error:
                raise raised(error) from error
            outputs = {name: to_numpy(name, tensor) for name, tensor in flatten(given, self._names).items()}
        self._signature = observed(inputs, outputs)
        return outputs
