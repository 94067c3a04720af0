"""The gates: each holds one measured value to one threshold of the project file."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from onnxyard.lifecycle.gate import Gate, GateOutcome, judge, judge_interval
from onnxyard.parity.flips import count_flips

if TYPE_CHECKING:
    import numpy as np

    from onnxyard.parity.bootstrap import Estimate
    from onnxyard.parity.error import ErrorReport
    from onnxyard.project.file import GatesSection

FAR = sys.float_info.max
"""Stands for an infinite or undefined value: JSON and databases know neither."""


def parity_gate(
    target: str,
    *,
    exported: float,
    chosen: tuple[ErrorReport, ErrorReport],
    precision: str,
    max_error: float,
    rows: int,
) -> Gate:
    """Hold the numerical distance to the source model, on the golden set at two batch sizes, to `max_error`.

    The exported graph must be within it, and so must the chosen model where it still computes in fp32. A quantized one
    rounds on purpose: its decisions and its quality have gates of their own, but it must answer every row, in the
    source's shape and with finite values, at both batch sizes.

    Args:
        target: The target's name.
        exported: Largest difference of the exported graph, as export measured it.
        chosen: The chosen model's reports, for all rows at once and row by row.
        precision: Of the chosen model, as `fp32`.
        max_error: Largest absolute difference allowed.
        rows: Golden rows.
    """
    own = max(report.max_abs for report in chosen)
    broken = next((report for report in chosen if not math.isfinite(report.max_abs)), None)
    observed = _finite(max(exported, own) if precision == "fp32" or broken is not None else exported)
    if broken is not None:
        at = "a batch of all rows" if broken is chosen[0] else "batches of one row"
        detail = f"In {at} the output {broken.where!r} has another shape than the source's, or is not finite."
    elif precision == "fp32":
        detail = f"Largest difference to the source on the golden set, in batches of {rows} and of 1."
    else:
        detail = f"Of the exported graph; the chosen {precision} model differs by up to {own:.3g}."
    return Gate(f"parity@{target}", observed, max_error, judge(observed, at_most=max_error), rows=rows, detail=detail)


def processing_gate(inputs: ErrorReport, answers: ErrorReport, *, max_error: float, rows: int) -> Gate:
    """Hold preprocess and postprocess to what they gave when the golden set was made: training/serving skew shows here.

    Args:
        inputs: What preprocess makes of the golden raw inputs, against the golden inputs.
        answers: What postprocess makes of the golden outputs, against the golden answers.
        max_error: Largest absolute difference allowed.
        rows: Golden rows.
    """
    worst, step = (inputs, "preprocess") if inputs.max_abs >= answers.max_abs else (answers, "postprocess")
    observed = _finite(worst.max_abs)
    detail = f"{step} gives {worst.where!r} otherwise than in the golden set." if observed else "As in the golden set."
    return Gate("processing", observed, max_error, judge(observed, at_most=max_error), rows=rows, detail=detail)


def flips_gate(
    target: str, *, source: dict[str, np.ndarray], chosen: dict[str, np.ndarray], max_flips: float, rows: int
) -> Gate:
    """Hold the share of golden rows that are decided differently to `max_flips`.

    Args:
        target: The target's name.
        source: The source model's outputs.
        chosen: The chosen model's.
        max_flips: Largest share allowed.
        rows: Golden rows.
    """
    try:
        flips = count_flips(source, chosen)
    except ValueError as error:
        return Gate(
            f"flips@{target}", 1.0, max_flips, GateOutcome.FAILED, rows=rows, detail=f"Not comparable: {error}."
        )
    detail = f"{flips.flipped} of {flips.rows} golden rows are decided differently than by the source."
    return Gate(
        f"flips@{target}", flips.share, max_flips, judge(flips.share, at_most=max_flips), rows=rows, detail=detail
    )


def quality_gate(target: str, metric: str, estimate: Estimate, *, at_least: float, confidence: float) -> Gate:
    """Hold what the test split proves of a metric to the least value that the project declares."""
    outcome = judge_interval(estimate.low, estimate.high, at_least=at_least)
    proven = f"{estimate.rows} test rows prove {metric} >= {estimate.low:.4g} with {confidence:.0%} confidence"
    return Gate(
        f"quality:{metric}@{target}",
        _finite(estimate.observed),
        at_least,
        outcome,
        bound=_bound(estimate.low),
        rows=estimate.rows,
        detail=_verdict(outcome, estimate, proven),
    )


def drop_gate(target: str, metric: str, estimate: Estimate, *, at_most: float, confidence: float) -> Gate:
    """Hold what the test split proves of the drop against the source model to the largest one allowed."""
    outcome = judge_interval(estimate.low, estimate.high, at_most=at_most)
    proven = (
        f"{estimate.rows} test rows prove a drop of {metric} <= {estimate.high:.4g} with {confidence:.0%} confidence"
    )
    return Gate(
        f"quality-drop:{metric}@{target}",
        _finite(estimate.observed),
        at_most,
        outcome,
        bound=_bound(estimate.high),
        rows=estimate.rows,
        detail=_verdict(outcome, estimate, proven),
    )


def unanswered_gates(target: str, limits: GatesSection, *, why: str) -> list[Gate]:
    """The quality and drop gates of a model that does not answer the test split: all failed, with the reason."""
    quality = [
        Gate(f"quality:{metric}@{target}", -FAR, at_least, GateOutcome.FAILED, detail=why)
        for metric, at_least in limits.quality.items()
    ]
    drops = [
        Gate(f"quality-drop:{metric}@{target}", FAR, at_most, GateOutcome.FAILED, detail=why)
        for metric, at_most in limits.max_drop.items()
    ]
    return quality + drops


def latency_gate(target: str, *, p99_ms: float, at_most: float, calls: int, batch_size: int, why: str = "") -> Gate:
    """Hold the 99th percentile of one call to the project's limit; `why` says that a call failed."""
    detail = why or f"99th percentile of {calls} warm calls with {batch_size} row{'s' if batch_size > 1 else ''} each."
    return Gate(f"latency:p99_ms@{target}", p99_ms, at_most, judge(p99_ms, at_most=at_most), unit="ms", detail=detail)


def size_gate(target: str, *, size_bytes: int, at_most: int) -> Gate:
    """Hold the size of the model's files to the project's limit."""
    outcome = judge(size_bytes, at_most=at_most)
    return Gate(
        f"size@{target}", float(size_bytes), float(at_most), outcome, unit="bytes", detail="All files of the model."
    )


def _verdict(outcome: GateOutcome, estimate: Estimate, proven: str) -> str:
    if math.isnan(estimate.low):
        return f"The metric is undefined on every resample of the {estimate.rows} test rows."
    if outcome is GateOutcome.UNDERPOWERED:
        return f"{proven}, too few to decide: give more test rows, or declare a threshold they can prove."
    return f"{proven}."


def _bound(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _finite(value: float) -> float:
    return value if math.isfinite(value) else FAR
