"""The axes a project declares for its model's inputs: do they fit the example, and what other lengths may they have?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.sources.source import Asked

_WHERE = "[project.axes]"


def check_axes(asked: Asked) -> None:
    """Compare the declared axes with the example.

    Raises:
        InvalidRequestError: an input that does not exist, another rank or length than the example's, a first axis that
            is not the one batch of all inputs, a name that is none, or one name for axes of different lengths.
    """
    if unknown := sorted(asked.axes.keys() - asked.inputs.keys()):
        raise InvalidRequestError(
            f"The model has no input {unknown[0]!r}.", where=_WHERE, remedy=f"It takes {', '.join(asked.inputs)}."
        )
    lengths: dict[str, tuple[int, str]] = {}
    batch = ""
    for name, array in asked.inputs.items():
        axes = asked.axes_of(name)
        if len(axes) != array.ndim:
            raise InvalidRequestError(
                f"{len(axes)} axes are declared for {name!r}, the data has {array.ndim}: {list(array.shape)}.",
                where=f"{_WHERE} {name}",
            )
        batch = _check_batch(name, axes[0], batch)
        for at, (axis, length) in enumerate(zip(axes, array.shape, strict=True)):
            if isinstance(axis, int):
                if axis != length:
                    raise InvalidRequestError(
                        f"Axis {at} of {name!r} is declared with length {axis}, the data has {length} there.",
                        where=f"{_WHERE} {name}",
                        remedy=f"Write {length}, or a name if the length may change.",
                    )
                continue
            if not axis.isidentifier():
                raise InvalidRequestError(
                    f"{axis!r} is no name for an axis: letters, digits and underscores only.", where=f"{_WHERE} {name}"
                )
            other, first = lengths.setdefault(axis, (length, name))
            if other != length:
                raise InvalidRequestError(
                    f"The axis {axis!r} has length {other} in {first!r} and {length} in {name!r}.",
                    where=f"{_WHERE} {name}",
                    remedy="Give axes of different lengths different names.",
                )


def batch_axis(asked: Asked) -> str:
    """The name of every input's first axis."""
    axis = asked.axes_of(next(iter(asked.inputs)))[0]
    return str(axis)


def dynamic_axes(asked: Asked) -> tuple[str, ...]:
    """The names of the axes behind the batch whose length may change, in order of appearance."""
    named = [axis for name in asked.inputs for axis in asked.axes_of(name)[1:] if isinstance(axis, str)]
    return tuple(dict.fromkeys(named))


def other_lengths(asked: Asked, axis: str) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Other lengths of one dynamic axis, each with the example's inputs at it: one longer, one shorter, double, half.

    Longer inputs repeat themselves from the start, so that every value is one the model may see (token ids, say).
    """
    length = next(
        array.shape[at]
        for name, array in asked.inputs.items()
        for at, declared in enumerate(asked.axes_of(name))
        if declared == axis
    )
    for other in dict.fromkeys((length + 1, length - 1, 2 * length, length // 2)):
        if other >= 1 and other != length:
            inputs = {name: _resized(array, asked.axes_of(name), axis, other) for name, array in asked.inputs.items()}
            yield other, inputs


def _resized(array: np.ndarray, axes: tuple[int | str, ...], axis: str, length: int) -> np.ndarray:
    for at, declared in enumerate(axes):
        if declared == axis:
            array = np.take(array, np.arange(length) % array.shape[at], axis=at)
    return array


def _check_batch(name: str, axis: int | str, batch: str) -> str:
    """The batch's name, which is that of the inputs before; empty for the first one."""
    if isinstance(axis, int):
        raise InvalidRequestError(
            f"The first axis of {name!r} is declared with length {axis}; it is the batch, which has any length.",
            where=f"{_WHERE} {name}",
            remedy='Write a name there, as "batch".',
        )
    if batch and batch != axis:
        raise InvalidRequestError(
            f"The first axis of {name!r} is called {axis!r}, that of the other inputs {batch!r}: there is one batch.",
            where=f"{_WHERE} {name}",
        )
    return axis
