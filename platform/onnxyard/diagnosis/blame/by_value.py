"""Pairing tensors that nobody named: by their values, in topological order.

Two tensors are the same one when they hold the same values, up to a transposition of axes (channels last) or another
shape. Signatures (number of elements, mean, norm: a transposition changes none of them) leave few candidates, whose
cosine decides; of all ways to pair the two sequences, the one with the highest sum that crosses no pair is taken
(Needleman and Wunsch 1970, without a penalty for gaps).

Behind the first difference values are no longer equal. There a pair is found by trying: the reference's value is put
into a tensor that is like it, and when more tensors are equal then, it was the right one. What no trial tells is paired
by likeness alone, but never before an equal tensor: what an equal one was computed from holds no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.diagnosis.blame.pairing import Pair
from onnxyard.diagnosis.blame.probe import NodeFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxyard.diagnosis.blame.probe import Probe

    Tensors = Mapping[str, np.ndarray]

_EQUAL = 1.0 - 0.5 * 1e-5**2
"""From this cosine on two tensors hold the same values: with equal norms their root mean square difference is below
1e-5, which float32's rounding over a whole network stays below."""
_LIKE = 0.5
"""From this cosine on two tensors may be the same one, seen behind a difference."""
_TRIALS = 24
_CANDIDATES = 3
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


def by_value(expected: Tensors, probe: Probe, inputs: Tensors) -> list[Pair]:
    """Pairs between the reference's tensors and the graph's.

    Args:
        expected: The reference's values by place, in topological order.
        probe: The graph.
        inputs: What both sides were given.
    """
    try:
        actual = probe.run(inputs, probe.tensors)
    except NodeFailedError:
        return []
    state = _State(expected, actual, probe, inputs)
    state.try_out()
    found = state.pairs
    clean = _ancestors(probe, [pair.tensor for pair in found])
    taken = {pair.place for pair in found}
    ours = [one for one in state.ours if one.name not in taken]
    found += _align(ours, [one for one in _signatures(actual) if one.name not in clean], _LIKE)
    position = {name: at for at, name in enumerate(probe.tensors)}
    return sorted(found, key=lambda pair: position[pair.tensor])


class _State:
    """What is paired so far: tensors that hold the reference's values by themselves, or were given them in a trial."""

    def __init__(self, expected: Tensors, actual: Tensors, probe: Probe, inputs: Tensors) -> None:
        self.ours = _signatures(expected)
        self._expected, self._actual, self._probe, self._inputs = expected, actual, probe, inputs
        self._given: dict[str, Pair] = {}
        self.pairs = _align(self.ours, _signatures(actual), _EQUAL)

    def try_out(self) -> None:
        """Put the reference's values into tensors that are like them, as long as more tensors become equal by it."""
        trials, hopeless = 0, set[str]()
        while trials < _TRIALS and (candidates := self._candidates(hopeless)):
            hopeless.add(candidates[0].place)
            for candidate in candidates[:_CANDIDATES]:
                trials += 1
                given = {**self._given, candidate.tensor: candidate}
                pairs = self._pairs_with(given)
                if len(pairs) > len(self.pairs) + 1:  # the candidate itself, and one more that became equal
                    self._given, self.pairs = given, pairs
                    break

    def _candidates(self, hopeless: set[str]) -> list[Pair]:
        """For the first place that is not paired yet: the tensors that are like it, the likest first."""
        taken = {pair.place for pair in self.pairs} | hopeless
        clean = _ancestors(self._probe, [pair.tensor for pair in self.pairs])
        theirs = [one for one in _signatures(self._actual) if one.name not in clean]
        for one in self.ours:
            if one.name in taken:
                continue
            alike = [(_match(one, other, _LIKE), other.name) for other in theirs if other.value.size == one.value.size]
            alike = sorted((each for each in alike if each[0].cosine >= _LIKE), key=lambda each: -each[0].cosine)
            if alike:
                return [Pair(one.name, name, m.axes, m.reshaped, m.cosine) for m, name in alike]
        return []

    def _pairs_with(self, given: Mapping[str, Pair]) -> list[Pair]:
        """All pairs when these tensors are given the reference's values."""
        values = {name: pair.moved(self._expected[pair.place], self._actual[name]) for name, pair in given.items()}
        wanted = [name for name in self._probe.tensors if name not in given]
        try:
            seen = {**self._probe.run(self._inputs, wanted, values), **values}
        except NodeFailedError:
            return []
        ordered = {name: seen[name] for name in self._probe.tensors if name in seen}
        pairs = _align(self.ours, _signatures(ordered), _EQUAL)
        return [given.get(pair.tensor, pair) for pair in pairs]


def _signatures(values: Mapping[str, np.ndarray]) -> list[_Signature]:
    found = []
    for name, value in values.items():
        if value.dtype.kind not in "fiu" or value.size < _LEAST_ELEMENTS:
            continue
        wide = value.astype(np.float64)
        if np.isfinite(wide).all() and (wide.max() > wide.min()):  # a constant is like any other
            found.append(_Signature(name, wide, float(wide.mean()), float(np.linalg.norm(wide))))
    return found


def _align(ours: Sequence[_Signature], theirs: Sequence[_Signature], least: float) -> list[Pair]:
    """The pairs of at least this cosine that cross none and have the highest sum."""
    by_size: dict[int, list[int]] = {}
    for column, one in enumerate(theirs):
        by_size.setdefault(one.value.size, []).append(column)
    matches: dict[tuple[int, int], _Match] = {}
    for row, one in enumerate(ours):
        for column in by_size.get(one.value.size, ()):
            match = _match(one, theirs[column], least)
            if match.cosine >= least:
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
