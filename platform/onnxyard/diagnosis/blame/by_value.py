"""Pairing tensors that nobody named: by their values, in topological order.

Two tensors are the same one when they hold the same values, up to a transposition of axes (channels last) or another
shape. Signatures (number of elements, mean, norm: a transposition changes none of them) leave few candidates, whose
cosine decides; of all ways to pair the two sequences, the one with the highest sum that crosses no pair is taken
(Needleman and Wunsch 1970, without a penalty for gaps).

Behind the first difference values are no longer equal. There a pair may be weaker, but only where no equal tensor
comes after it: what an equal tensor was computed from holds no difference that matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.diagnosis.blame.pairing import Pair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxyard.diagnosis.blame.probe import Probe

_EQUAL = 1.0 - 0.5 * 1e-5**2
"""From this cosine on two tensors hold the same values: with equal norms their root mean square difference is below
1e-5, which float32's rounding over a whole network stays below."""
_WEAK = 0.5
_LEAST_ELEMENTS = 4
"""Smaller tensors are alike by chance."""
_MOST_AXES = 4


@dataclass(frozen=True, slots=True)
class _Signature:
    name: str
    value: np.ndarray
    mean: float
    norm: float


@dataclass(frozen=True, slots=True)
class _Match:
    cosine: float
    axes: tuple[int, ...] | None = None
    reshaped: bool = False


def by_value(reference: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], probe: Probe) -> list[Pair]:
    """Pairs between the reference's tensors and the graph's, both in topological order.

    Args:
        reference: Values by place.
        actual: Values by tensor, for the same inputs.
        probe: The graph, to know what was computed from what.
    """
    ours, theirs = _signatures(reference), _signatures(actual)
    exact = _align(ours, theirs, _EQUAL, set())
    clean = _ancestors(probe, [pair.tensor for pair in exact])
    taken = {pair.place for pair in exact}
    weak = _align(
        [one for one in ours if one.name not in taken], [one for one in theirs if one.name not in clean], _WEAK, taken
    )
    position = {name: at for at, name in enumerate(probe.tensors)}
    return sorted([*exact, *weak], key=lambda pair: position.get(pair.tensor, 0))


def _signatures(values: Mapping[str, np.ndarray]) -> list[_Signature]:
    found = []
    for name, value in values.items():
        if value.dtype.kind not in "fiu" or value.size < _LEAST_ELEMENTS:
            continue
        wide = value.astype(np.float64)
        if np.isfinite(wide).all() and (wide.max() > wide.min()):  # a constant is like any other
            found.append(_Signature(name, wide, float(wide.mean()), float(np.linalg.norm(wide))))
    return found


def _align(ours: Sequence[_Signature], theirs: Sequence[_Signature], least: float, taken: set[str]) -> list[Pair]:
    """The pairs of at least this cosine that cross none and have the highest sum."""
    by_size: dict[int, list[int]] = {}
    for column, one in enumerate(theirs):
        by_size.setdefault(one.value.size, []).append(column)
    matches: dict[tuple[int, int], _Match] = {}
    for row, one in enumerate(ours):
        for column in by_size.get(one.value.size, ()):
            match = _match(one, theirs[column], least)
            if match.cosine >= least and one.name not in taken:
                matches[row, column] = match
    best = np.zeros((len(ours) + 1, len(theirs) + 1))
    for row, one in enumerate(ours):
        gain = best[row].copy()
        for column in by_size.get(one.value.size, ()):
            if (row, column) in matches:
                gain[column + 1] = max(gain[column + 1], best[row, column] + matches[row, column].cosine)
        best[row + 1] = np.maximum.accumulate(gain)
    return _walk_back(best, matches, ours, theirs)


def _walk_back(
    best: np.ndarray,
    matches: Mapping[tuple[int, int], _Match],
    ours: Sequence[_Signature],
    theirs: Sequence[_Signature],
) -> list[Pair]:
    found, row, column = [], len(ours), len(theirs)
    while row and column:
        match = matches.get((row - 1, column - 1))
        if match is not None and best[row, column] == best[row - 1, column - 1] + match.cosine:
            certainty = 1.0 if match.cosine >= _EQUAL else match.cosine
            found.append(Pair(ours[row - 1].name, theirs[column - 1].name, match.axes, match.reshaped, certainty))
            row, column = row - 1, column - 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row -= 1
    return found[::-1]


def _match(one: _Signature, other: _Signature, least: float) -> _Match:
    """How alike two tensors of one size are, in the best order of axes."""
    slack = 1e-5 if least >= _EQUAL else 1.0
    if abs(one.norm - other.norm) > slack * max(one.norm, other.norm):
        return _Match(0.0)
    if abs(one.mean - other.mean) > slack * max(one.norm, other.norm) / np.sqrt(one.value.size):
        return _Match(0.0)
    best = _Match(0.0)
    for axes in _orders(one.value.shape, other.value.shape):
        moved = one.value if axes is None else one.value.transpose(axes)
        cosine = float(moved.ravel() @ other.value.ravel()) / (one.norm * other.norm)
        if cosine > best.cosine:
            best = _Match(cosine, axes, reshaped=moved.shape != other.value.shape)
        if best.cosine >= _EQUAL:
            break
    return best


def _orders(have: tuple[int, ...], want: tuple[int, ...]) -> list[tuple[int, ...] | None]:
    """Orders of axes that lead from one shape to the other; as it is comes first, even where the shape differs."""
    same: list[tuple[int, ...] | None] = [None]
    if len(have) != len(want) or len(have) > _MOST_AXES:
        return same
    return same + [
        axes
        for axes in permutations(range(len(have)))
        if axes != tuple(range(len(have))) and tuple(have[at] for at in axes) == want
    ]


def _ancestors(probe: Probe, tensors: Sequence[str]) -> set[str]:
    """The tensors, and all that they were computed from."""
    found: set[str] = set()
    waiting = [name for name in tensors if name in probe.producers]
    for name in waiting:
        found.add(name)
    while waiting:
        for read in probe.reads_of(waiting.pop()):
            if read not in found and read in probe.producers:
                found.add(read)
                waiting.append(read)
    return found
