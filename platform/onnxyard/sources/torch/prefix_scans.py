"""Prefix scans: y[i] = x[0] ∘ x[1] ∘ ... ∘ x[i], without Scan or Loop, which servers refuse by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.writing import GraphValue, op

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxscript import ir


def prefix_scan(
    values: Sequence[GraphValue],
    shape: ir.Shape,
    axis: int,
    combine: Callable[[Sequence[GraphValue], Sequence[GraphValue]], list[GraphValue]],
) -> list[GraphValue]:
    """The inclusive scan along an axis, in log2(length) steps (Hillis & Steele, Data Parallel Algorithms, 1986).

    Args:
        values: Graph values of one shape that are scanned together, as a value and its index.
        shape: Theirs.
        axis: The axis.
        combine: Takes what stands earlier and what stands later, and gives both as one; associative.

    Raises:
        UnsupportedModelError: the axis' length is dynamic.
    """
    if len(shape) == 0:
        return [op.Identity(one) for one in values]
    axis %= len(shape)
    length = shape[axis]
    if not isinstance(length, int):
        raise UnsupportedModelError("A running reduction needs an axis of fixed length.", remedy="Fix that axis.")
    scanned, step = list(values), 1
    while step < length:
        head = [op.Slice(one, [0], [step], [axis]) for one in scanned]
        earlier = [op.Slice(one, [0], [length - step], [axis]) for one in scanned]
        later = [op.Slice(one, [step], [length], [axis]) for one in scanned]
        joined = combine(earlier, later)
        scanned = [op.Concat(first, rest, axis=axis) for first, rest in zip(head, joined, strict=True)]
        step *= 2
    return scanned
