"""What blame found, for people and for programs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum

from onnxyard.diagnosis.blame.pairing import Method


class Verdict(StrEnum):
    """Whether the two sides give the same."""

    SAME = "same"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Spot:
    """One tensor of both sides, and how far they are apart there. Errors are relative (`Distance.relative`).

    Attributes:
        place: The reference's name for the tensor.
        operator: The reference's operator that makes it, as `aten.conv2d.default`.
        module: The module's path in the source; empty for the model itself and where unknown.
        kind: The module's class.
        source: `file:line`; empty where unknown.
        tensor: The graph's name for the tensor.
        node: The ONNX node that the difference is laid to.
        op: Its operator, as `Resize`.
        attributes: Its attributes as text.
        nodes: All ONNX nodes between this tensor and the paired ones before it.
        error_in: The largest error among the paired tensors it is computed from, with both sides run whole.
        error_out: The error of this tensor, with both sides run whole.
        local: The error that is made here: the nodes are fed the reference's own inputs.
        tolerance: What rounding explains of `local`.
        changed: What is different about the node in a fresh export, one text each.
    """

    place: str
    operator: str
    module: str
    kind: str
    source: str
    tensor: str
    node: str
    op: str
    attributes: dict[str, str]
    nodes: tuple[str, ...]
    error_in: float
    error_out: float
    local: float
    tolerance: float
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accused:
    """A place that makes a difference of its own.

    Attributes:
        spot: The place.
        share: How much of the final error (root mean square) goes away when the reference's tensor is put here and
            nowhere else; negative where it gets worse. Shares need not add up to 1: errors meet, cancel and saturate.
        alone: The final error when this is the only place that errs.
    """

    spot: Spot
    share: float
    alone: float


@dataclass(frozen=True, slots=True)
class OutputError:
    """One output: the largest error relative to the reference's largest value."""

    name: str
    error: float


@dataclass(frozen=True, slots=True)
class Paired:
    """How the tensors of both sides were paired.

    Attributes:
        method: The way.
        pairs: Number of pairs.
        places: Tensors of the reference.
        tensors: Tensors of the graph.
        certainty: Of the least certain pair: 1 where identity is known, else the cosine between both.
    """

    method: Method
    pairs: int
    places: int
    tensors: int
    certainty: float


@dataclass(frozen=True, slots=True)
class Blame:
    """The answer.

    Attributes:
        verdict: Whether both sides give the same.
        reference: What is right by definition.
        model: What was judged.
        rows: Rows that the outputs were compared on.
        looked_into: Those of them, the worst and the first, that the tensors inside were compared on.
        outputs: The final errors.
        rest: The final error that is left when every accused place is given the reference's tensor: the noise.
        culprit: The first place whose error its inputs do not explain, and that reaches an output; None where both
            sides are the same.
        others: Further accused places, in the graph's order.
        harmless: Places that differ beyond rounding, of which no output notices anything.
        path: A dozen places around the culprit, in the graph's order.
        course: Every paired place in order: what the plot draws.
        paired: How tensors were paired.
        notes: What else a reader should know, one sentence each.
    """

    verdict: Verdict
    reference: str
    model: str
    rows: int
    looked_into: int
    outputs: tuple[OutputError, ...]
    rest: float
    culprit: Accused | None
    others: tuple[Accused, ...]
    harmless: tuple[Spot, ...]
    path: tuple[Spot, ...]
    course: tuple[Spot, ...]
    paired: Paired
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """The largest final error."""
        return max((output.error for output in self.outputs), default=0.0)

    @property
    def sentence(self) -> str:
        """The verdict in one or two sentences."""
        if self.culprit is None:
            return f"Nothing differs beyond rounding: the largest error of an output is {figure(self.error)}."
        spot = self.culprit.spot
        where = f" at {spot.source}" if spot.source else ""
        inside = f" in the module {spot.module}" if spot.module else ""
        made = f"The first difference is made by {spot.operator or spot.op}{inside}{where}"
        node = f": the ONNX node {spot.node} ({spot.op})" if spot.node else ""
        accounts = f" It accounts for {percent(self.culprit.share)} of the final error, {figure(self.error)}."
        return f"{made}{node}.{accounts}"

    def document(self) -> dict[str, object]:
        """The answer as JSON has it (`onnxyard blame --json`).

        `verdict` (`same` or `differs`), `sentence`, `rung`, `reference`, `model`, `rows`, `looked_into`, `outputs`
        (name and error), `rest`, `culprit` and `others` (the fields of `Spot`, with `share` and `alone`), `harmless`
        and `path` (fields of `Spot`), `paired`, `notes`. An error that cannot be a number (NaN or infinity on one
        side, other shapes) is null.
        """
        return {
            "verdict": str(self.verdict),
            "sentence": self.sentence,
            "rung": "export",
            "reference": self.reference,
            "model": self.model,
            "rows": self.rows,
            "looked_into": self.looked_into,
            "outputs": [{"name": output.name, "error": _finite(output.error)} for output in self.outputs],
            "rest": _finite(self.rest),
            "culprit": None if self.culprit is None else _accused(self.culprit),
            "others": [_accused(one) for one in self.others],
            "harmless": [_spot(spot) for spot in self.harmless],
            "path": [_spot(spot) for spot in self.path],
            "paired": {**asdict(self.paired), "method": str(self.paired.method)},
            "notes": list(self.notes),
        }


def figure(error: float) -> str:
    """An error as people read it."""
    return f"{error:.2g}" if math.isfinite(error) else "not comparable"


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{max(-9.99, share) * 100:.0f} %"


def _accused(one: Accused) -> dict[str, object]:
    return {**_spot(one.spot), "share": _finite(one.share), "alone": _finite(one.alone)}


def _spot(spot: Spot) -> dict[str, object]:
    fields = asdict(spot)
    return {key: _finite(value) if isinstance(value, float) else value for key, value in fields.items()}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
