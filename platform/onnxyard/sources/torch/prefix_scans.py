"""Prefix scans: y[i] = x[0] ∘ x[1] ∘ ... ∘ x[i], without Scan or Loop, which servers refuse by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxscript import opset18 as op

from onnxyard.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def prefix_scan(
    values: Sequence[Any], axis: int, combine: Callable[[Sequence[Any], Sequence[Any]], list[Any]]
) -> list[Any]:
    """The inclusive scan along an axis, in log2(length) steps (Hillis & Steele, Data Parallel Algorithms, 1986).

    Args:
        values: Graph values of one shape that are scanned together, as a value and its index.
        axis: The axis; the first value knows its length.
        combine: Takes what stands earlier and what stands later, and gives both as one; associative.

    Raises:
        UnsupportedModelError: the axis' length is dynamic.
    """
    shape = values[0].shape
    if not shape:
        return list(values)
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
