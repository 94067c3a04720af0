"""One split of a project's data: arrays in memory, or a stream of batches that need not fit in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from onnxyard.errors import UserCodeError
from onnxyard.project.protocols import Targets, Tensors

Change: TypeAlias = Callable[[Tensors], dict[str, np.ndarray]]
"""What `preprocess` does: inputs to inputs, rows kept."""


class Batch(NamedTuple):
    """Some rows: `for inputs, targets in split.batches(32)`."""

    inputs: dict[str, np.ndarray]
    targets: Targets


Batches: TypeAlias = Iterable[tuple[Tensors, Targets]]
"""Anything that can be iterated again and again and gives (inputs, targets), as a torch DataLoader."""


class Split:
    """Rows held in memory.

    Args:
        inputs: One array per input name; the first axis of each is the rows.
        targets: One target per row.

    Raises:
        UserCodeError: not arrays by name, or inputs and targets differ in rows.
    """

    def __init__(self, inputs: Tensors, targets: Targets) -> None:
        self._inputs, self._targets = checked_batch(inputs, targets)
        self._rows = len(self._targets)

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """All inputs by name. A streamed split has none (UserCodeError): go through `batches`."""
        return self._inputs

    @property
    def targets(self) -> Targets:
        """All targets. A streamed split has none (UserCodeError): go through `batches`."""
        return self._targets

    def __len__(self) -> int:
        """Rows."""
        return self._rows

    def batches(self, size: int) -> Iterator[Batch]:
        """Every row once, in order, `size` rows at a time (the last batch may be smaller)."""
        for start in range(0, self._rows, size):
            part = slice(start, start + size)
            yield Batch({name: values[part] for name, values in self._inputs.items()}, self._targets[part])

    def take(self, rows: int | Sequence[int] | np.ndarray) -> Split:
        """The first `rows` rows, or the rows at these positions in this order, in memory."""
        index = np.arange(min(rows, len(self))) if isinstance(rows, int) else np.asarray(rows, dtype=np.int64)
        inputs = {name: values[index] for name, values in self._inputs.items()}
        return Split(inputs, pick(self._targets, index))

    def part(self, rows: np.ndarray) -> Split:
        """The rows at these ascending positions, as the same kind of split."""
        return self.take(rows)

    def changed(self, change: Change) -> Split:
        """The same rows with changed inputs, as through `preprocess`; targets stay."""
        return Split(
            join([Batch(change(batch.inputs), batch.targets) for batch in self.batches(_BLOCK)]).inputs, self._targets
        )


class StreamedSplit(Split):
    """Rows that pass by in batches, read anew each time.

    Args:
        source: Gives (inputs, targets) batches; iterating it twice must give the same rows in the same order.
        rows: Ascending positions of the rows that belong to this split; all of them by default.
        change: Applied to the inputs of each batch as it passes.
    """

    def __init__(self, source: Batches, *, rows: np.ndarray | None = None, change: Change | None = None) -> None:
        if iter(source) is source:
            raise UserCodeError(
                f"A split is a {type(source).__name__}, which can be read only once.",
                remedy="Give an object whose __iter__ starts anew each time, as a torch DataLoader does.",
            )
        self._source = source
        self._positions = rows
        self._change = change
        self._counted: int | None = None if rows is None else len(rows)

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        raise UserCodeError("This split is streamed: its inputs are not in memory.", remedy="Use split.batches(size).")

    @property
    def targets(self) -> Targets:
        raise UserCodeError("This split is streamed: its targets are not in memory.", remedy="Use split.batches(size).")

    def __len__(self) -> int:
        if self._counted is None:
            self._counted = sum(len(batch.targets) for batch in self._stream())
        return self._counted

    def batches(self, size: int) -> Iterator[Batch]:
        held: list[Batch] = []
        count = 0
        for batch in self._stream():
            held.append(batch)
            count += len(batch.targets)
            if count < size:
                continue
            whole = Split(*join(held))
            full = count - count % size
            for start in range(0, full, size):
                yield Batch(*_slice(whole, start, start + size))
            held = [Batch(*_slice(whole, full, count))] if count > full else []
            count -= full
        if held:
            yield join(held)

    def take(self, rows: int | Sequence[int] | np.ndarray) -> Split:
        if isinstance(rows, int):
            return Split(*join([batch for batch, _ in zip(self.batches(rows), "1", strict=False)]))
        wanted = np.asarray(rows, dtype=np.int64)
        order, place = np.unique(wanted, return_inverse=True)
        kept = [batch for batch in self.part(order).batches(_BLOCK)]  # noqa: C416 - one line says it
        return Split(*join(kept)).take(place)

    def part(self, rows: np.ndarray) -> Split:
        positions = rows if self._positions is None else self._positions[rows]
        return StreamedSplit(self._source, rows=positions, change=self._change)

    def changed(self, change: Change) -> Split:
        before = self._change
        both: Change = change if before is None else lambda inputs: change(before(inputs))
        return StreamedSplit(self._source, rows=self._positions, change=both)

    def _stream(self) -> Iterator[Batch]:
        """The source's own batches, only the rows that belong here, changed; never more than one batch in memory."""
        seen = 0
        for item in self._source:
            batch = as_batch(item)
            rows = len(batch.targets)
            if self._positions is not None:
                first, last = np.searchsorted(self._positions, [seen, seen + rows])
                index = self._positions[first:last] - seen
                batch = Batch({name: v[index] for name, v in batch.inputs.items()}, pick(batch.targets, index))
            seen += rows
            if len(batch.targets):
                yield batch if self._change is None else Batch(self._change(batch.inputs), batch.targets)


_BLOCK = 256
"""Rows that are changed or compared at a time."""


def checked_batch(inputs: object, targets: object) -> Batch:
    """Inputs as arrays by name and targets with one entry per row.

    Raises:
        UserCodeError: they are not that; the message says which input has what.
    """
    if not isinstance(inputs, Mapping) or not inputs or not all(isinstance(name, str) for name in inputs):
        raise UserCodeError(f"Inputs must be arrays by name, as {{'image': array}}; got {_kind(inputs)}.")
    arrays = {}
    for name, values in inputs.items():
        array = values if isinstance(values, np.ndarray) else _as_array(name, values)
        if array.ndim == 0:
            raise UserCodeError(f"Input {name!r} is a single value; its first axis must be the rows.")
        # Serving hands text over as objects, so training gets it so too.
        arrays[name] = array.astype(object) if array.dtype.kind in "UST" else array
    if not isinstance(targets, (np.ndarray, Sequence)):
        targets = _as_array("targets", targets)
    rows = {name: len(values) for name, values in arrays.items()}
    if set(rows.values()) != {len(targets)}:
        said = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise UserCodeError(
            f"Inputs and targets differ in rows: {said}, targets {len(targets)}.",
            remedy="Give one row of every input, and one target, for each example.",
        )
    return Batch(arrays, targets)


def as_batch(item: object) -> Batch:
    """What a stream gave, as a batch. Raises UserCodeError when it is no (inputs, targets) pair."""
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise UserCodeError(f"A stream must give (inputs, targets) pairs; it gave {_kind(item)}.")
    return checked_batch(item[0], item[1])


def pick(targets: Targets, index: np.ndarray) -> Targets:
    """The targets at these positions."""
    return targets[index] if isinstance(targets, np.ndarray) else [targets[i] for i in index.tolist()]


def join(batches: Sequence[Batch]) -> Batch:
    """Batches one after another, as one. Raises UserCodeError when there is none, or they do not fit together."""
    if not batches:
        raise UserCodeError("A split is empty.")
    first = batches[0]
    if len(batches) == 1:
        return first
    try:
        inputs = {name: np.concatenate([batch.inputs[name] for batch in batches]) for name in first.inputs}
    except (KeyError, ValueError) as error:
        raise UserCodeError(f"The batches of a split do not fit together: {error}.") from error
    return Batch(inputs, join_targets([batch.targets for batch in batches]))


def join_targets(parts: Sequence[Targets]) -> Targets:
    """Targets one after another: an array where all parts are arrays of one shape, a list otherwise."""
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts) and len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)
    return [target for part in parts for target in part]


def _slice(split: Split, start: int, stop: int) -> Batch:
    part = slice(start, stop)
    return Batch({name: values[part] for name, values in split.inputs.items()}, split.targets[part])


def _as_array(name: str, values: Any) -> np.ndarray:  # noqa: ANN401 - whatever the user gave
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UserCodeError(f"{name!r} cannot be read as an array: {error}.") from error


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"
