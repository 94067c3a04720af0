"""The search for the first place: from what was measured to who is to blame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.diagnosis.blame.by_value import by_value
from onnxyard.diagnosis.blame.changes import Changes
from onnxyard.diagnosis.blame.comparison import Comparison, compare_tensors
from onnxyard.diagnosis.blame.distance import Distance
from onnxyard.diagnosis.blame.origins import From, origins_of
from onnxyard.diagnosis.blame.pairing import (
    Method,
    Pair,
    Pairing,
    by_identity,
    by_module,
    by_name,
    output_pairs,
    pairing,
)
from onnxyard.diagnosis.blame.probe import NodeFailedError, Probe, attributes_of
from onnxyard.diagnosis.blame.report import Accused, Blame, OutputError, Paired, Spot, Verdict
from onnxyard.diagnosis.blame.rows import count_rows, first_rows, telling_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np

    from onnxyard.diagnosis.blame.reference import Place, Reference

    Tensors = Mapping[str, np.ndarray]

_ENOUGH = 0.3
"""Share of pairs from which on identity is enough to go by."""
_TOO_MANY = 0.4
"""From this share of suspects on it is the pairing that is wrong, not the graph."""
_PAIRING_ROWS = 4
"""Rows that tensors are paired on by their values."""
_TRIED = 12
"""Suspects whose effect is measured one by one, in the graph's order."""
_ABOVE_REST = 4.0
"""How many times the final error must exceed what is left without the suspects to be laid to them."""
_LEAST_ERROR = 1e-6
"""A final error below eight times float32's epsilon is nobody's fault."""
_AROUND = 6
"""Places that are shown before and behind the culprit."""


def search(
    reference: Reference,
    probe: Probe,
    inputs: Tensors,
    *,
    model: str,
    sidecar: Mapping[str, object],
    progress: Callable[[str], None],
) -> Blame:
    """Compare, suspect, and try what each suspect's error does to the outputs."""
    progress("comparing the outputs")
    rows, outputs = telling_rows(reference, probe, inputs)
    seen = _compare(reference, probe, rows, sidecar, progress)
    spots = _Spots(reference, probe, seen, sidecar)
    trial = _Trial(reference, probe, rows, seen)
    suspects = seen.suspects
    progress(f"trying {min(len(suspects), _TRIED)} suspects")
    error, rest = trial.error(()), trial.error(suspects)
    accused: list[Accused] = []
    if suspects and _beyond(error, rest):
        for name in suspects[:_TRIED]:
            alone = trial.error([other for other in suspects if other != name])
            if _beyond(alone, rest):
                accused.append(Accused(spots.of(name), _share(error, trial.error([name])), alone.peak))
        if not accused:  # none of them does it alone, all of them together do
            accused = [Accused(spots.of(name), _share(error, trial.error([name])), math.nan) for name in suspects[:1]]
    guilty = {one.spot.tensor for one in accused}
    culprit = accused[0] if accused else None
    return Blame(
        verdict=Verdict.DIFFERS if culprit else Verdict.SAME,
        reference=reference.name,
        model=model,
        rows=max(1, count_rows(inputs)),
        looked_into=max(1, count_rows(rows)),
        outputs=tuple(OutputError(name, distance.relative) for name, distance in outputs.items()),
        rest=rest.peak,
        culprit=culprit,
        others=tuple(accused[1:]),
        harmless=tuple(spots.of(name) for name in suspects[:_TRIED] if name not in guilty),
        path=tuple(spots.around(culprit.spot.tensor)) if culprit else (),
        course=tuple(spots.of(pair.tensor) for pair in seen.pairing.pairs),
        paired=_paired(seen.pairing),
        notes=tuple(_notes(reference, seen, suspects)),
    )


def _compare(
    reference: Reference,
    probe: Probe,
    inputs: Tensors,
    sidecar: Mapping[str, object],
    progress: Callable[[str], None],
) -> Comparison:
    """Compare by the surest pairing that makes sense of the graph."""
    best: Comparison | None = None
    for found in _pairings(reference, probe, inputs, sidecar, progress):
        seen = compare_tensors(reference, probe, inputs, found, progress)
        share = len(seen.suspects) / max(1, len(found.pairs))
        if best is None or share < len(best.suspects) / max(1, len(best.pairing.pairs)):
            best = seen
        if len(found.pairs) < 5 or share <= _TOO_MANY:
            break
    assert best is not None  # noqa: S101 - `_pairings` gives at least one
    return best


def _pairings(
    reference: Reference,
    probe: Probe,
    inputs: Tensors,
    sidecar: Mapping[str, object],
    progress: Callable[[str], None],
) -> Iterator[Pairing]:
    """Ways to pair, the surest first; the later ones are made only when they are needed."""
    if identical := by_identity(reference.places, probe, sidecar):
        known = pairing(Method.IDENTITY, identical, reference, probe)
        if known.coverage >= _ENOUGH:
            yield known
    if named := by_name(reference.places, probe):
        yield pairing(Method.NAMES, named, reference, probe)
    progress("pairing tensors by value")
    few = first_rows(inputs, _PAIRING_ROWS)
    valued = pairing(Method.VALUES, by_value(reference.run(few), probe, few), reference, probe)
    modules = pairing(
        Method.MODULES, by_module(reference.places, probe, origins_of(probe.model, sidecar)), reference, probe
    )
    yield from sorted((valued, modules), key=lambda each: -len(each.pairs))


@dataclass(frozen=True, slots=True)
class _Final:
    """The final error, over all outputs: the largest relative one, and the root mean square that shares are told of."""

    peak: float
    rms: float


class _Trial:
    """Runs the graph with the reference's tensors in chosen places, and measures what is left of the final error."""

    def __init__(self, reference: Reference, probe: Probe, inputs: Tensors, seen: Comparison) -> None:
        self._probe = probe
        self._pairs = {pair.tensor: pair for pair in seen.pairing.pairs}
        self._finals = output_pairs(reference, probe)
        suspects = seen.suspects
        self._inputs = inputs
        keep = {self._pairs[name].place for name in suspects} | {pair.place for pair in self._finals}
        self._expected = reference.run(self._inputs, keep)
        try:
            shapes = [*suspects, *(pair.tensor for pair in self._finals)]
            self._like = probe.run(self._inputs, tuple(dict.fromkeys(shapes)))
        except NodeFailedError:
            self._like = {}

    def error(self, replaced: list[str] | tuple[str, ...]) -> _Final:
        """The final error with the reference's tensors in these places."""
        given = {name: self._moved(self._pairs[name]) for name in replaced}
        wanted = tuple(pair.tensor for pair in self._finals if pair.tensor not in given)
        try:
            answer = {**self._probe.run(self._inputs, wanted, given), **given}
        except NodeFailedError:
            return _Final(math.inf, math.inf)
        peak = square = 0.0
        for pair in self._finals:
            distance = Distance()
            distance.add(self._moved(pair), answer.get(pair.tensor))
            peak, square = max(peak, distance.relative), square + distance.rms**2
        return _Final(peak, math.sqrt(square))

    def _moved(self, pair: Pair) -> np.ndarray:
        return pair.moved(self._expected[pair.place], self._like.get(pair.tensor))


class _Spots:
    """Places with all that is known of them."""

    def __init__(self, reference: Reference, probe: Probe, seen: Comparison, sidecar: Mapping[str, object]) -> None:
        self._probe = probe
        self._seen = seen
        self._places: dict[str, Place] = {place.name: place for place in reference.places}
        self._pairs = {pair.tensor: pair for pair in seen.pairing.pairs}
        self._origins = origins_of(probe.model, sidecar)
        named = seen.pairing.method in {Method.IDENTITY, Method.NAMES}
        self._changes = Changes(probe.model, reference.fresh, same_names=named)

    def of(self, tensor: str) -> Spot:
        """One place."""
        place = self._places.get(self._pairs[tensor].place)
        nodes, _ = self._probe.span(tensor, set(self._pairs))
        node = self._changes.main(nodes)
        origin = self._origins.get(tensor, From("", "", ""))
        before = [self._seen.total[name].relative for name in self._seen.fed_by[tensor] if name in self._seen.total]
        return Spot(
            place=self._pairs[tensor].place,
            operator="" if place is None else place.operator,
            module=(place.module if place else "") or origin.module,
            kind=(place.kind if place else "") or origin.kind,
            source=(place.source if place else "") or origin.source,
            tensor=tensor,
            node=node.name,
            op=f"{node.domain}::{node.op_type}".removeprefix("::"),
            attributes=attributes_of(node),
            nodes=tuple(each.name for each in nodes),
            error_in=max(before, default=0.0),
            error_out=self._seen.total[tensor].relative,
            local=self._seen.local[tensor].relative,
            tolerance=self._seen.tolerance[tensor],
            changed=self._changes.of(node),
        )

    def around(self, tensor: str) -> list[Spot]:
        """The places next to this one, among those it depends on and those that depend on it."""
        order = [pair.tensor for pair in self._seen.pairing.pairs]
        before = [name for name in order if name in self._up({tensor})][-_AROUND:]
        behind = [name for name in order if name != tensor and tensor in self._up({name})][:_AROUND]
        return [self.of(name) for name in (*before, tensor, *behind)]

    def _up(self, tensors: set[str]) -> set[str]:
        found: set[str] = set()
        waiting = list(tensors)
        while waiting:
            for name in self._seen.fed_by.get(waiting.pop(), ()):
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        return found


def _beyond(error: _Final, rest: _Final) -> bool:
    noise = rest.peak if math.isfinite(rest.peak) else 0.0
    return not error.peak <= max(_ABOVE_REST * noise, _LEAST_ERROR)


def _share(error: _Final, left: _Final) -> float:
    """How much of the final error is gone."""
    if not math.isfinite(left.rms):
        return 0.0
    if not math.isfinite(error.rms):
        return 1.0
    return 1.0 - left.rms / error.rms if error.rms else 0.0


def _paired(found: Pairing) -> Paired:
    return Paired(found.method, len(found.pairs), found.places, found.tensors, found.certainty)


def _notes(reference: Reference, seen: Comparison, suspects: list[str]) -> Iterator[str]:
    if seen.failed is not None:
        yield f"The graph does not run: {seen.failed.detail}"
    if len(reference.places) <= len(reference.outputs):
        yield f"{reference.name} shows its outputs only, so that no place inside can be told."
    if seen.pairing.method in {Method.VALUES, Method.MODULES}:
        found = seen.pairing
        yield (
            f"Tensors were paired by {'their values' if found.method is Method.VALUES else 'module boundaries'}: "
            f"{len(found.pairs)} of {min(found.places, found.tensors)}, the least certain at a cosine of "
            f"{found.certainty:.4f}."
        )
    if len(suspects) > _TRIED:
        yield f"{len(suspects)} places differ beyond rounding; the first {_TRIED} of them were tried."
