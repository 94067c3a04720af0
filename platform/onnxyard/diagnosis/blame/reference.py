"""The side that is right by definition: the framework's model, or another ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from onnxyard.sources.torch.tree import SourceTree

if TYPE_CHECKING:
    from collections.abc import Collection

    import onnx

    from onnxyard.ports.runtime import LoadedModel

OUTPUT_PREFIX = "output:"
"""The place of a model's output where nothing inside of it can be seen."""


@dataclass(frozen=True, slots=True)
class Place:
    """One tensor of the reference.

    Attributes:
        name: Its name there: an fx node, a module's call, a tensor of a file.
        operator: What makes it, as `aten.conv2d.default`, `Conv`, or a module's class.
        module: The module's path; empty for the model itself and where unknown.
        kind: The module's class.
        source: `file:line`; empty where unknown.
    """

    name: str
    operator: str = ""
    module: str = ""
    kind: str = ""
    source: str = ""


@runtime_checkable
class Reference(Protocol):
    """A model that can be looked into."""

    @property
    def name(self) -> str:
        """As `torch 2.13.0` or a file's name."""
        ...

    @property
    def places(self) -> tuple[Place, ...]:
        """In the order they are computed."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """The places that are the model's outputs, in the model's order."""
        ...

    @property
    def fresh(self) -> onnx.ModelProto | None:
        """The graph that the framework's exporter gives today, to tell what was changed since; None where none is."""
        ...

    def run(self, inputs: Mapping[str, np.ndarray], keep: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """Values by place; only those in `keep` where it is given."""
        ...

    def noise(self, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        """By place: the largest absolute rounding error of the operator that makes it, measured against the same
        operator on the same inputs in float64. Places where that cannot be measured are left out.
        """  # noqa: D205
        ...


@dataclass(frozen=True, slots=True)
class TorchSource:
    """A torch module, with what its project says of it.

    Attributes:
        module: In eval mode; its `forward` takes the inputs by name.
        outputs: The outputs' names; those of the graph where there are none.
        axes: Per input its axes, a text for a dynamic one; the first alone is dynamic where it is not named.
        translations: The project's own translations of operators.
        tree: Which source files are the user's; the folder of the module's class where it is None.
    """

    module: Any  # a torch.nn.Module, whose types the light core does not have
    outputs: tuple[str, ...] = ()
    axes: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    translations: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    tree: SourceTree | None = None


class Closed:
    """A `Reference` of a model that shows its outputs only."""

    def __init__(self, model: LoadedModel, outputs: tuple[str, ...]) -> None:
        self._model = model
        self._outputs = outputs

    @property
    def name(self) -> str:
        return self._model.runtime

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(Place(OUTPUT_PREFIX + name) for name in self._outputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(OUTPUT_PREFIX + name for name in self._outputs)

    @property
    def fresh(self) -> None:
        return None

    def run(self, inputs: Mapping[str, np.ndarray], keep: Collection[str] | None = None) -> dict[str, np.ndarray]:
        answer = self._model.run(inputs)
        values = {OUTPUT_PREFIX + name: np.asarray(answer[name]) for name in self._outputs}
        return {name: array for name, array in values.items() if keep is None or name in keep}

    def noise(self, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:  # noqa: ARG002 - a reference's shape
        return {}
