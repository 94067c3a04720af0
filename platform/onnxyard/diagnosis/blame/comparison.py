"""Both sides run on the same rows, tensor by tensor: whole, and with every node fed the reference's own inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxyard.diagnosis.blame.distance import Distance, rounding
from onnxyard.diagnosis.blame.pairing import Pairing, output_pairs
from onnxyard.diagnosis.blame.probe import NodeFailedError, Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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
        outputs: By output of the graph: the error with both sides run whole.
        tolerance: By tensor: what rounding explains of the local error, relative.
        fed_by: By tensor: the paired tensors (and inputs) it is computed from.
        failed: The node that cannot run on what the graph itself gives it.
        stuck: The node that cannot run on what the reference gives it.
    """

    pairing: Pairing
    total: dict[str, Distance] = field(default_factory=dict)
    local: dict[str, Distance] = field(default_factory=dict)
    outputs: dict[str, Distance] = field(default_factory=dict)
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
    finals = output_pairs(reference, probe)
    seen.outputs = {pair.tensor: Distance() for pair in finals}
    keep = {pair.place for pair in (*pairs, *finals)}
    dtypes: dict[str, np.dtype] = {}
    batches = list(in_batches(inputs, reference, keep))
    for number, batch in enumerate(batches, start=1):
        progress(f"comparing {len(pairs)} tensors, batch {number} of {len(batches)}")
        expected = reference.run(batch, keep)
        actual = _whole(probe, batch, seen)
        given = {pair.tensor: pair.moved(expected[pair.place], actual.get(pair.tensor)) for pair in pairs}
        for name, value in given.items():
            dtypes[name] = value.dtype
            seen.total[name].add(value, actual.get(name))
        for pair in finals:
            seen.outputs[pair.tensor].add(
                pair.moved(expected[pair.place], actual.get(pair.tensor)), actual.get(pair.tensor)
            )
        fed = forced(probe, batch, given, tuple(given), seen)
        for name, value in given.items():
            seen.local[name].add(value, fed.get(name))
    progress("measuring the framework's own rounding")
    noise = reference.noise(first_rows(inputs, _NOISE_ROWS) if reference.any_rows else inputs)
    known = {pair.tensor for pair in pairs}
    for pair in pairs:
        nodes, seen.fed_by[pair.tensor] = probe.span(pair.tensor, known)
        scale = seen.local[pair.tensor].scale
        measured = _NOISE * noise.get(pair.place, 0.0) / scale if scale else 0.0
        # Rounding of several operators in a row adds up like a random walk.
        seen.tolerance[pair.tensor] = max(rounding(dtypes[pair.tensor]) * math.sqrt(len(nodes)), measured)
    return seen


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


def in_batches(inputs: Tensors, reference: Reference, keep: set[str]) -> Iterator[dict[str, np.ndarray]]:
    """The rows in batches whose tensors fit into memory; all at once where rows cannot be told apart."""
    lengths = {array.shape[0] if array.ndim else -1 for array in inputs.values()}
    if len(lengths) != 1 or not reference.any_rows or (rows := next(iter(lengths))) < 4:
        yield dict(inputs)
        return
    sample = reference.run(first_rows(inputs, 2), keep)
    fit = max(2, int(_BYTES / max(1.0, sum(array.nbytes for array in sample.values()) / 2)))
    starts = list(range(0, rows, fit))
    if len(starts) > 1 and rows - starts[-1] < 2:
        starts.pop()  # a batch of one row may be something else to a model that squeezes
    for start, stop in zip(starts, [*starts[1:], rows], strict=True):
        yield {name: array[start:stop] for name, array in inputs.items()}


def first_rows(inputs: Tensors, rows: int) -> dict[str, np.ndarray]:
    """The first rows of inputs that all have the same number of them; else the inputs as they are."""
    lengths = {array.shape[0] if array.ndim else -1 for array in inputs.values()}
    return {name: array[:rows] for name, array in inputs.items()} if len(lengths) == 1 else dict(inputs)


def _whole(probe: Probe, batch: Tensors, seen: Comparison) -> dict[str, np.ndarray]:
    """Every compared tensor of the graph as it is; where a node cannot run, those that do not depend on it."""
    wanted = [*(name for name in probe.tensors if name in seen.total)]
    wanted += [name for name in seen.outputs if name not in seen.total]
    while wanted:
        try:
            return probe.run(batch, wanted)
        except NodeFailedError as error:
            seen.failed = seen.failed or error
            lost = probe.descendants(str(error.facts["node"]))
            wanted = [name for name in wanted if name not in lost] if lost.intersection(wanted) else []
    return {}
