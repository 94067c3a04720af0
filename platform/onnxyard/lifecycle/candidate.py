"""A candidate: one recipe's model, run in one way on one target, as measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.setup import Setup


class Outcome(StrEnum):
    """How far a candidate came."""

    MEASURED = "measured"
    """To the end: quality and latency are known with their intervals."""
    STOPPED = "stopped"
    """Stopped early, because what was seen of it so far showed that it would not be chosen; the note says by what."""
    REFUSED = "refused"
    """The target does not allow it (precision, disk, memory, an operator of another domain), or it changed nothing."""
    FAILED = "failed"
    """It could not be made or run; the note carries the failure."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A candidate's latency as a share of the baseline's, timed in turns with it; the bounds hold with 95 %."""

    value: float
    low: float
    high: float

    @property
    def tie(self) -> bool:
        """Whether the interval spans 1: the two cannot be told apart."""
        return self.low <= 1.0 <= self.high


@dataclass(frozen=True, slots=True)
class Latency:
    """One batch size's calls.

    Attributes:
        batch_size: Rows per call.
        p50_ms: Median of one call in milliseconds.
        low_ms: With 95 %, the median that a process started later measures lies above this (a prediction interval over
            the processes that measured it).
        high_ms: Likewise, below this.
        p99_ms: 99th percentile of the same calls.
        cpu_ms: Processor time of one call over all threads: a proxy of its energy.
        calls: Timed calls.
        ratio: p50 against the baseline's.
    """

    batch_size: int
    p50_ms: float
    low_ms: float
    high_ms: float
    p99_ms: float
    cpu_ms: float
    calls: int
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class Candidate:
    """One recipe's model, run in one way on one target.

    Attributes:
        name: Unique within the target: the recipe, and the setup where it is not the target's first, as
            `int8-qdq · openvino precision=bf16`.
        recipe: The recipe's name, as `fp32` or `int8-qdq`.
        target: The target's name in the project file.
        setup: How it is run.
        outcome: How far it came.
        note: One sentence: why it was chosen, passed over, stopped, refused, or how it failed.
        precision: Of the graph, as `fp32` or `int8`; empty where none was made.
        portable: Whether the graph has operators of the ONNX standard only.
        artifact: Its files (workspace folder `candidate-DIGEST`, by the first 16 hex digits); None where none was made.
        quality: The metric named in `[optimize]`, on the validation split.
        drop_high: With the confidence of `[optimize]`, the quality drops by at most this against the baseline.
        latencies: By batch size, in the target's order.
        ratio: Latency against the baseline's over all batch sizes, weighted as the target says.
        cost: What `[optimize] minimize` names, smaller is better: milliseconds (p50, p99), milliseconds per row
            (throughput), or bytes (size, memory).
        memory_bytes: Peak memory of a process of its own, beyond the interpreter's and the runtime's.
        load_ms: From the file to ready.
        placement: Nodes by the provider that really executed them, as `{"CPUExecutionProvider": 12}`.
        facts: What the recipe did, as `{"quantized": "18 of 21 nodes", "kept in float": "conv1: ..."}`.
        pareto: Whether no other allowed candidate is at least as good in quality, latency, size and memory.
        chosen: Whether this candidate goes on to validate.
    """

    name: str
    recipe: str
    target: str
    setup: Setup
    outcome: Outcome
    note: str = ""
    precision: str = ""
    portable: bool = True
    artifact: Artifact | None = None
    quality: float | None = None
    drop_high: float | None = None
    latencies: tuple[Latency, ...] = ()
    ratio: Ratio | None = None
    cost: float | None = None
    memory_bytes: int | None = None
    load_ms: float | None = None
    placement: dict[str, int] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    pareto: bool = False
    chosen: bool = False

    @property
    def p50_ms(self) -> float | None:
        """At the target's first batch size."""
        return self.latencies[0].p50_ms if self.latencies else None

    @property
    def p99_ms(self) -> float | None:
        """At the target's first batch size."""
        return self.latencies[0].p99_ms if self.latencies else None

    @property
    def size_bytes(self) -> int | None:
        """Of its files."""
        return None if self.artifact is None else self.artifact.size_bytes
