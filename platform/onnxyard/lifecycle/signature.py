"""A model's signature: names, dtypes and shapes of what goes in and comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: The tensor's name in the graph.
        dtype: The ONNX name of its element type (TensorProto.DataType), as FLOAT, INT64, UINT8, STRING, BFLOAT16.
        shape: One entry per axis: a fixed length, or the name of a dynamic axis.
        missing: Whether values may be missing: NaN, or an empty text, stands for them.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    missing: bool = False

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` fits: equal rank, and equal length on every fixed axis."""
        return len(shape) == len(self.shape) and all(
            isinstance(want, str) or want == got for want, got in zip(self.shape, shape, strict=True)
        )

    def document(self) -> dict[str, Any]:
        """JSON-compatible; `missing` stands there only where it is true."""
        document: dict[str, Any] = {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}
        return document | {"missing": True} if self.missing else document

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """What `document` gave. Raises KeyError or TypeError for anything else."""
        return cls(
            document["name"], document["dtype"], tuple(document["shape"]), missing=document.get("missing", False)
        )


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs, in the graph's order. By convention the first axis of each is the batch."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def document(self) -> dict[str, Any]:
        """JSON-compatible."""
        return {
            "inputs": [spec.document() for spec in self.inputs],
            "outputs": [spec.document() for spec in self.outputs],
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """What `document` gave. Raises KeyError or TypeError for anything else."""
        inputs, outputs = (tuple(map(TensorSpec.of_document, document[side])) for side in ("inputs", "outputs"))
        return cls(inputs, outputs)

    def input(self, name: str) -> TensorSpec | None:
        """The input called `name`, or None."""
        return next((spec for spec in self.inputs if spec.name == name), None)
