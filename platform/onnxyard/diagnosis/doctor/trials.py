"""Trials: what the example is changed to before model and graph are asked the same question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.tensors.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.sources.source import Asked

LENGTHS = (1, 2, 3, 17)
"""Lengths of every dynamic axis: the one that broadcasts, even and odd, and a prime that no example has."""
_FEW = 8
"""Rows of a trial whose question is not the number of rows."""
_SMALL, _LARGE = 1e-30, 1e12
"""Edge values: their squares still fit float32, so that a graph has no excuse which the framework has not."""


class Kind(Enum):
    """What a trial asks."""

    EXAMPLE = auto()
    """Does the graph answer what it was made from?"""
    LENGTH = auto()
    """Does it answer another length of an axis?"""
    VALUES = auto()
    """Does it follow other values?"""
    EDGE = auto()
    """Does it stay finite?"""


@dataclass(frozen=True, slots=True)
class Trial:
    """One question.

    Attributes:
        name: As `batch = 3` or `negated`.
        kind: What it asks.
        inputs: The arrays.
        axis: The axis whose length was changed; empty for other kinds.
        length: The length it was changed to.
    """

    name: str
    kind: Kind
    inputs: Mapping[str, np.ndarray]
    axis: str = ""
    length: int = 0


def example(asked: Asked) -> Trial:
    """The example itself."""
    return Trial("the example", Kind.EXAMPLE, asked.inputs)


def lengths(asked: Asked) -> Iterator[Trial]:
    """Each dynamic axis at other lengths than the example's, the rows before it being few."""
    named = {name: asked.axes_of(name) for name in asked.inputs}
    for axis in dict.fromkeys(part for axes in named.values() for part in axes if isinstance(part, str)):
        short = asked.inputs if _is_batch(axis, named) else few_rows(asked, 2)
        now = next(
            asked.inputs[name].shape[at] for name, axes in named.items() for at, part in enumerate(axes) if part == axis
        )
        # Twice the example's is a length that a model with strides accepts too.
        for length in dict.fromkeys((*LENGTHS, 2 * now)):
            if length != now and now > 0:
                changed = {name: _resized(array, named[name], axis, length) for name, array in short.items()}
                yield Trial(f"{axis} = {length}", Kind.LENGTH, changed, axis, length)


def values(asked: Asked) -> Iterator[Trial]:
    """The example's rows with other values: negated, larger, smaller, backwards."""
    rows = few_rows(asked, _FEW)
    floats = {name: array for name, array in rows.items() if is_floating(array.dtype)}
    if floats:
        yield Trial("negated", Kind.VALUES, {**rows, **{name: -array for name, array in floats.items()}})
        for factor, name in ((3.0, "three times as large"), (0.1, "a tenth as large")):
            scaled = {key: (array * np.asarray(factor, array.dtype)) for key, array in floats.items()}
            yield Trial(name, Kind.VALUES, {**rows, **scaled})
    yield Trial("backwards", Kind.VALUES, {name: _backwards(array) for name, array in rows.items()})


def edges(asked: Asked) -> Iterator[Trial]:
    """Edge values in every input at once: zeros, ones, tiny, and large of both signs."""
    rows = few_rows(asked, 2)
    for name, value in (("zeros", 0.0), ("ones", 1.0), ("minus ones", -1.0)):
        filled = {key: _filled(array, value) for key, array in rows.items()}
        yield Trial(name, Kind.EDGE, filled)
    if any(is_floating(array.dtype) for array in rows.values()):
        for name, value in (("tiny", _SMALL), ("large", _LARGE), ("large and negative", -_LARGE)):
            changed = {key: _filled(array, value) if is_floating(array.dtype) else array for key, array in rows.items()}
            yield Trial(f"{name} ({value:g})", Kind.EDGE, changed)


def few_rows(asked: Asked, count: int) -> dict[str, np.ndarray]:
    """The first rows of the example, where its first axis may have any length; all of them where it may not."""
    first = {axes[0] if (axes := asked.axes_of(name)) else 0 for name in asked.inputs}
    if len(first) > 1 or not all(isinstance(axis, str) for axis in first):
        return dict(asked.inputs)
    return {name: array[:count] for name, array in asked.inputs.items()}


def with_axis(asked: Asked, names: Iterable[str], at: int, length: int) -> dict[str, np.ndarray]:
    """Two rows of the example with one axis of some inputs at another length."""
    rows = few_rows(asked, 2)
    return {**rows, **{name: _taken(rows[name], at, length) for name in names}}


def _is_batch(axis: str, named: Mapping[str, tuple[int | str, ...]]) -> bool:
    return any(axes[:1] == (axis,) for axes in named.values())


def _resized(array: np.ndarray, axes: tuple[int | str, ...], axis: str, length: int) -> np.ndarray:
    for at, part in enumerate(axes):
        if part == axis:
            array = _taken(array, at, length)
    return array


def _taken(array: np.ndarray, at: int, length: int) -> np.ndarray:
    return np.ascontiguousarray(array.take(np.arange(length) % array.shape[at], axis=at))


def _backwards(array: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(array).reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
    return np.ascontiguousarray(flat[:, ::-1].reshape(array.shape))


def _filled(array: np.ndarray, value: float) -> np.ndarray:
    if array.dtype.kind in "OUST":
        return np.full_like(array, "")
    if array.dtype.kind == "u" and value < 0:
        return array
    if is_floating(array.dtype):
        limit = 60_000.0 if array.dtype.itemsize < 4 else abs(value)  # float16 ends at 65504
        return np.full(array.shape, np.sign(value) * min(abs(value), limit)).astype(array.dtype)
    return np.full(array.shape, value).astype(array.dtype)
