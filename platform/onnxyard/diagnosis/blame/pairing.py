"""Which tensor of the graph holds which value of the reference: by identity, by name, by module, or by value.

Identity comes first: the sidecar says which fx node's value a tensor holds. Two files whose tensors of one name are
made by the same operators are copies of one graph. Where neither is known, module boundaries pair by what the
exporter noted; and where nothing was noted, values speak (`by_value`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from onnxyard.diagnosis.blame.origins import From, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np

    from onnxyard.diagnosis.blame.probe import Probe
    from onnxyard.diagnosis.blame.reference import Place, Reference

_SAME_GRAPH = 0.8
"""From this share of equal nodes on, two graphs are states of one graph."""


class Method(StrEnum):
    """How tensors were paired; the surest first."""

    IDENTITY = "identity"
    NAMES = "names"
    MODULES = "modules"
    VALUES = "values"


@dataclass(frozen=True, slots=True)
class Pair:
    """One tensor on both sides.

    Attributes:
        place: The reference's name for it.
        tensor: The graph's name for it.
        axes: The reference's axes in the graph's order; None where they are the same, or only the shape differs.
        reshaped: Whether the graph has the same values in another shape.
        certainty: 1 where it is known; else the cosine between both.
    """

    place: str
    tensor: str
    axes: tuple[int, ...] | None = None
    reshaped: bool = False
    certainty: float = 1.0

    def moved(self, value: np.ndarray, like: np.ndarray | None) -> np.ndarray:
        """The reference's value as the graph has it: its axes, and its type (and shape) where `like` shows them."""
        if self.axes is not None:
            value = value.transpose(self.axes)
        if like is None:
            return value
        if self.reshaped and value.size == like.size:
            value = value.reshape(like.shape)
        return value.astype(like.dtype) if value.dtype != like.dtype else value


@dataclass(frozen=True, slots=True)
class Pairing:
    """All pairs, in the graph's order.

    Attributes:
        method: How they were found.
        pairs: The pairs.
        places: Tensors of the reference.
        tensors: Tensors of the graph.
    """

    method: Method
    pairs: tuple[Pair, ...]
    places: int
    tensors: int

    @property
    def coverage(self) -> float:
        """Pairs, relative to the side that has fewer tensors."""
        return len(self.pairs) / max(1, min(self.places, self.tensors))

    @property
    def certainty(self) -> float:
        """Of the least certain pair."""
        return min((pair.certainty for pair in self.pairs), default=0.0)


def pairing(method: Method, found: Iterable[Pair], reference: Reference, probe: Probe) -> Pairing:
    """Pairs in the graph's order, with the outputs, which are paired by their position. A tensor is paired once."""
    by_tensor = {pair.tensor: pair for pair in found if pair.tensor in probe.producers}
    by_tensor.update({pair.tensor: pair for pair in output_pairs(reference, probe) if pair.tensor in probe.producers})
    ordered = tuple(by_tensor[name] for name in probe.tensors if name in by_tensor)
    return Pairing(method, ordered, len(reference.places), len(probe.tensors))


def output_pairs(reference: Reference, probe: Probe) -> tuple[Pair, ...]:
    """The outputs of both sides: by name where they have the same, else in their order."""
    if set(reference.outputs) == set(probe.outputs):
        return tuple(Pair(name, name) for name in probe.outputs)
    return tuple(Pair(place, tensor) for place, tensor in zip(reference.outputs, probe.outputs, strict=False))


def by_identity(places: Sequence[Place], probe: Probe, sidecar: Mapping[str, object]) -> list[Pair]:
    """Pairs that the sidecar knows: the same value of the framework, made by the same operator of it."""
    if not _belongs(sidecar, probe):
        return []
    known = {place.name: place for place in places}
    found = []
    for tensor, fields in told(sidecar).items():
        place = known.get(fields.get("value", ""))
        if place is not None and place.operator == fields.get("operator"):
            found.append(Pair(place.name, tensor))
    return found


def by_name(places: Sequence[Place], probe: Probe) -> list[Pair]:
    """Pairs of equal name, where most nodes of the smaller graph are found in the other one: copies of one graph."""
    known = {place.name: place for place in places}
    common = [name for name in probe.tensors if name in known]
    same = sum(_operator(probe, name) == known[name].operator for name in common)
    enough = _SAME_GRAPH * min(len(known), len(probe.tensors))
    return [Pair(name, name) for name in common] if same and same >= enough else []


def by_module(places: Sequence[Place], probe: Probe, origins: Mapping[str, From]) -> list[Pair]:
    """What each module gives: the last tensor made inside it, on both sides.

    Only modules that run once in one piece count: of one that is called twice nobody knows which call is which.
    """
    ours = _last_of_modules([(place.name, place.module) for place in places])
    theirs = _last_of_modules([(name, origins[name].module) for name in probe.tensors if name in origins])
    return [Pair(ours[path], theirs[path]) for path in ours if path in theirs]


def _last_of_modules(entries: Sequence[tuple[str, str]]) -> dict[str, str]:
    last: dict[str, tuple[int, str]] = {}
    broken: set[str] = set()
    for at, (name, module) in enumerate(entries):
        parts = module.split(".") if module else []
        for path in (".".join(parts[: depth + 1]) for depth in range(len(parts))):
            if path in last and last[path][0] != at - 1:
                broken.add(path)
            last[path] = (at, name)
    return {path: name for path, (_, name) in last.items() if path not in broken}


def _belongs(sidecar: Mapping[str, object], probe: Probe) -> bool:
    """Whether this graph is the sidecar's, or a changed copy of it: most of the nodes it lists are there."""
    nodes = sidecar.get("nodes")
    if not isinstance(nodes, list) or not nodes:
        return False
    there = sum(any(_operator(probe, name) == node["op"] for name in node["outputs"]) for node in nodes)
    return there >= _SAME_GRAPH * len(nodes)


def _operator(probe: Probe, tensor: str) -> str:
    node = probe.producers.get(tensor)
    return "" if node is None else f"{node.domain}::{node.op_type}".removeprefix("::")
