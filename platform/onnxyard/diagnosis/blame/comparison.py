"""Both sides run on the same rows, tensor by tensor: whole, and with every node fed the reference's own inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxyard.diagnosis.blame.distance import Distance, rounding
from onnxyard.diagnosis.blame.pairing import Pairing
from onnxyard.diagnosis.blame.probe import NodeFailedError, Probe
from onnxyard.diagnosis.blame.rows import count_rows, first_rows, in_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from onnxyard.diagnosis.blame.reference import Reference

    Tensors = Mapping[str, np.ndarray]

_BYTES = 256 << 20
"""What one side's tensors of a batch may hold in memory."""
_NOISE = 32.0
"""How many times the framework's own rounding another kernel may be off: it sums in another order."""
_NOISE_ROWS = 4


@dataclass
class Comparison:
    """What was measured.

    Attributes:
        pairing: The pairs.
        total: By tensor: the error with both sides run whole.
        local: By tensor: the error that its own nodes make.
        tolerance: By tensor: what rounding explains of the local error, relative.
        fed_by: By tensor: the paired tensors (and inputs) it is computed from.
        failed: The node that cannot run on what the graph itself gives it.
        stuck: The node that cannot run on what the reference gives it.
    """

    pairing: Pairing
    total: dict[str, Distance] = field(default_factory=dict)
    local: dict[str, Distance] = field(default_factory=dict)
    tolerance: dict[str, float] = field(default_factory=dict)
    fed_by: dict[str, set[str]] = field(default_factory=dict)
    failed: NodeFailedError | None = None
    stuck: NodeFailedError | None = None

    @property
    def suspects(self) -> list[str]:
        """Tensors whose local error rounding does not explain, in the graph's order."""
        tensors = (pair.tensor for pair in self.pairing.pairs)
        return [name for name in tensors if not self.local[name].relative <= self.tolerance[name]]


def compare_tensors(
    reference: Reference, probe: Probe, inputs: Tensors, pairing: Pairing, progress: Callable[[str], None]
) -> Comparison:
    """Run both sides on all rows, in batches that fit into memory."""
    pairs = pairing.pairs
    seen = Comparison(pairing)
    seen.total = {pair.tensor: Distance() for pair in pairs}
    seen.local = {pair.tensor: Distance() for pair in pairs}
    keep = {pair.place for pair in pairs}
    dtypes: dict[str, np.dtype] = {}
    batches = list(in_batches(inputs, _fitting(reference, inputs, keep)))
    for number, batch in enumerate(batches, start=1):
        progress(f"comparing {len(pairs)} tensors, batch {number} of {len(batches)}")
        expected = reference.run(batch, keep)
        actual = _whole(probe, batch, seen)
        given = {pair.tensor: pair.moved(expected[pair.place], actual.get(pair.tensor)) for pair in pairs}
        for name, value in given.items():
            dtypes[name] = value.dtype
            seen.total[name].add(value, actual.get(name))
        fed = forced(probe, batch, given, tuple(given), seen)
        for name, value in given.items():
            seen.local[name].add(value, fed.get(name))
    progress("measuring the framework's own rounding")
    noise = reference.noise(first_rows(inputs, _NOISE_ROWS))
    known = {pair.tensor for pair in pairs}
    for pair in pairs:
        nodes, seen.fed_by[pair.tensor] = probe.span(pair.tensor, known)
        scale = seen.local[pair.tensor].scale
        measured = _NOISE * noise.get(pair.place, 0.0) / scale if scale else 0.0
        # Rounding of several operators in a row adds up like a random walk.
        seen.tolerance[pair.tensor] = max(rounding(dtypes[pair.tensor]) * math.sqrt(len(nodes)), measured)
    return seen


def _fitting(reference: Reference, inputs: Tensors, keep: set[str]) -> int:
    """How many rows' tensors fit into memory, at least two."""
    two = first_rows(inputs, 2)
    size = sum(array.nbytes for array in reference.run(two, keep).values()) / max(1, count_rows(two))
    return max(2, int(_BYTES / max(1.0, size)))


def forced(
    probe: Probe,
    batch: Tensors,
    given: Tensors,
    wanted: tuple[str, ...],
    seen: Comparison | None = None,
) -> dict[str, np.ndarray]:
    """The wanted tensors, each computed from the reference's own values of the tensors before it.

    A tensor whose node cannot run on them is left out.
    """
    while wanted:
        try:
            return probe.run(batch, wanted, given)
        except NodeFailedError as error:
            if seen is not None:
                seen.stuck = seen.stuck or error
            cut = set(given)
            kept = tuple(
                name for name in wanted if all(node.name != error.facts["node"] for node in probe.span(name, cut)[0])
            )
            wanted = kept if len(kept) < len(wanted) else ()
    return {}


def _whole(probe: Probe, batch: Tensors, seen: Comparison) -> dict[str, np.ndarray]:
    """Every compared tensor of the graph as it is; where a node cannot run, those that do not depend on it."""
    wanted = [name for name in probe.tensors if name in seen.total]
    while wanted:
        try:
            return probe.run(batch, wanted)
        except NodeFailedError as error:
            seen.failed = seen.failed or error
            lost = probe.descendants(str(error.facts["node"]))
            wanted = [name for name in wanted if name not in lost] if lost.intersection(wanted) else []
    return {}
