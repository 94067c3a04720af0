"""A model's signature: names, dtypes and shapes of what goes in and comes out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: The tensor's name in the graph.
        dtype: The ONNX name of its element type (TensorProto.DataType), as FLOAT, INT64, UINT8, STRING, BFLOAT16.
        shape: One entry per axis: a fixed length, or the name of a dynamic axis.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` fits: equal rank, and equal length on every fixed axis."""
        return len(shape) == len(self.shape) and all(
            isinstance(want, str) or want == got for want, got in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs, in the graph's order. By convention the first axis of each is the batch."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def input(self, name: str) -> TensorSpec | None:
        """The input called `name`, or None."""
        return next((spec for spec in self.inputs if spec.name == name), None)
