"""What an exported graph is asked, and what the source answers: the golden set at two batch sizes, other lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.sources.axes import dynamic_axes, other_lengths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.sources.source import Asked

Tensors: TypeAlias = Mapping[str, np.ndarray]
Run: TypeAlias = Callable[[Tensors], dict[str, np.ndarray]]

SINGLE_ROWS = 64
"""Rows that are asked one by one, at most; spread over the golden set."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One run of a graph.

    Attributes:
        name: As `a batch of one row`.
        inputs: What it is fed.
        expected: What the source answers.
        largest: The largest finite size of each output over all probes of this name: what an error is relative to, so
            that a row that happens to be near zero is no larger error.
    """

    name: str
    inputs: Tensors
    expected: Tensors
    largest: Mapping[str, float]


def probes(asked: Asked, expected: Tensors, reference: Run | None = None) -> tuple[Probe, ...]:
    """The golden set as a whole and row by row; with a reference, every declared dynamic axis at another length too.

    Args:
        asked: Its inputs are the golden set's.
        expected: The source's outputs for them.
        reference: Runs the source. With it, a single row is compared with what the source says of that row alone: a
            branch frozen to the whole batch shows where one row would take another. Without it, with its part of
            `expected`.

    Raises:
        InvalidRequestError: the source itself runs at no other length of an axis that is declared dynamic.
    """
    whole = Probe("a batch of all golden rows", asked.inputs, expected, largest_values(expected))
    return (whole, *_single_rows(asked.inputs, expected, reference), *_other_lengths(asked, reference))


def _single_rows(inputs: Tensors, expected: Tensors, reference: Run | None) -> list[Probe]:
    rows = len(next(iter(inputs.values())))
    singles = []
    for row in np.unique(np.linspace(0, rows - 1, min(rows, SINGLE_ROWS)).round().astype(int)):
        single = {name: values[row : row + 1] for name, values in inputs.items()}
        answer = {name: values[row : row + 1] for name, values in expected.items()}
        singles.append((single, answer if reference is None else _answer(reference, single) or answer))
    sizes = [largest_values(answer) for _, answer in singles]
    largest = {name: max(size[name] for size in sizes) for name in expected}
    return [Probe("a batch of one row", single, answer, largest) for single, answer in singles]


def _answer(reference: Run, single: Tensors) -> dict[str, np.ndarray] | None:
    """What the source says of one row; None where it takes no single row: the graph must, and is asked all the same."""
    try:
        return reference(single)
    except (InvalidRequestError, UnsupportedModelError):
        return None


def _other_lengths(asked: Asked, reference: Run | None) -> Iterator[Probe]:
    if reference is None:
        return
    for axis in dynamic_axes(asked):
        reason = ""
        for length, inputs in other_lengths(asked, axis):
            try:
                answer = reference(inputs)
            except (InvalidRequestError, UnsupportedModelError) as error:
                reason = f"{error.detail} ({error.where})" if error.where else error.detail
                continue
            yield Probe(f"length {length} of the axis {axis!r}", inputs, answer, largest_values(answer))
            break
        else:
            raise InvalidRequestError(
                f"The axis {axis!r} is declared dynamic, but the model itself runs at no other length. {reason}",
                where="[project.axes]",
                remedy="Declare its length as a number.",
            )


def largest_values(outputs: Tensors) -> dict[str, float]:
    """The largest finite size in each output; 0 for what has none, as text."""
    return {name: _largest_value(values) for name, values in outputs.items()}


def _largest_value(values: np.ndarray) -> float:
    if values.dtype.kind in "OUST":
        return 0.0
    sizes = np.abs(values.astype(np.complex128 if values.dtype.kind == "c" else np.float64))
    return float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))
