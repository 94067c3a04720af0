"""What blocks of calls say: percentiles, ratios with intervals, and what a later process will measure.

Calls of one block share a moment of the machine, and blocks of one launch the places in memory that their processes
happened to get, so calls are no independent evidence. Every interval here resamples launches, and blocks within them
(the hierarchical bootstrap: Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 3.8), and a
ratio's blocks are paired by the round they ran in, so that what slows a whole round down cancels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.lifecycle.candidate import Ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxyard.measuring.bench import Block

CONFIDENCE = 0.95
RESAMPLES = 500
_T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t, two-sided 95 %, by degrees of freedom from 1."""
LEAST_SPREAD = 0.02
"""Two processes are never taken for closer than this share: where memory falls and which kernel is timed first differ
from one start to the next, and two or three starts may by chance look alike."""


def percentile(blocks: Sequence[Block], share: float) -> float:
    """A percentile in milliseconds over all calls of the blocks (numpy's linear interpolation)."""
    return float(np.percentile(np.concatenate([block.ms for block in blocks]), share))


def cpu_ms(blocks: Sequence[Block]) -> float:
    """Processor time of one call in milliseconds: the median over blocks."""
    return float(np.median([block.cpu_ms for block in blocks]))


def ratio(
    ours: Mapping[int, Sequence[Block]],
    theirs: Mapping[int, Sequence[Block]],
    weights: Mapping[int, float],
    *,
    share: float = 50.0,
    per_row: bool = False,
    seed: int = 0,
) -> Ratio:
    """A latency as a share of another's, over all batch sizes.

    Args:
        ours: Blocks by batch size, in the order of the rounds.
        theirs: Likewise; as many rounds.
        weights: By batch size.
        share: The percentile that is compared, 50 for the median.
        per_row: Whether each batch size counts by its rows and not by its calls.
        seed: Of the resampling.

    Raises:
        ValueError: the two did not run the same rounds.
    """
    if any(len(ours[size]) != len(theirs[size]) for size in weights):
        raise ValueError("a ratio needs blocks of the same rounds")
    random = np.random.default_rng(seed)
    top, bottom = np.zeros(RESAMPLES + 1), np.zeros(RESAMPLES + 1)
    for size, weight in weights.items():
        scale = weight / (size if per_row else 1)
        draws = _draws(random, [block.launch for block in ours[size]])
        top += scale * _percentiles(ours[size], draws, share)
        bottom += scale * _percentiles(theirs[size], draws, share)
    whole, *drawn = top / bottom
    low, high = (float(bound) for bound in np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    return Ratio(float(whole), min(low, float(whole)), max(high, float(whole)))


def _draws(random: np.random.Generator, launches: Sequence[int]) -> np.ndarray:
    """How often each round counts: once in the first row, then as drawn with replacement, launches first and rounds in
    them next. [RESAMPLES + 1, rounds].
    """  # noqa: D205
    members = [np.flatnonzero(np.asarray(launches) == launch) for launch in dict.fromkeys(launches)]
    drawn = random.multinomial(len(members), np.full(len(members), 1 / len(members)), RESAMPLES)
    counts = np.zeros((RESAMPLES, len(launches)))
    for at, rounds in enumerate(members):
        counts[:, rounds] = random.multinomial(drawn[:, at] * len(rounds), np.full(len(rounds), 1 / len(rounds)))
    return np.vstack([np.ones(len(launches)), counts])


def _percentiles(blocks: Sequence[Block], draws: np.ndarray, share: float) -> np.ndarray:
    """The percentile of all calls, each counted as often as its block was drawn. [len(draws)], milliseconds."""
    ms = np.concatenate([block.ms for block in blocks])
    owner = np.repeat(np.arange(len(blocks)), [len(block.ms) for block in blocks])
    order = np.argsort(ms, kind="stable")
    counted = np.cumsum(draws[:, owner[order]], axis=1)
    at = (counted >= share / 100 * counted[:, -1:]).argmax(axis=1)
    return np.asarray(ms[order][at])


def prediction(medians: Sequence[float]) -> tuple[float, float]:
    """Between which two values the median of one more process lies, with 95 %.

    Student's prediction interval for one further observation (Hahn & Meeker, Statistical Intervals, 1991, section 4.7)
    of the logarithm of a process's median, since what slows a machine down multiplies.

    Args:
        medians: Milliseconds, one per process that measured the model; at least one.
    """
    logs = np.log(np.asarray(medians, dtype=np.float64))
    count = len(logs)
    spread = max(float(logs.std(ddof=1)) if count > 1 else 0.0, LEAST_SPREAD)
    t = _T_975[min(count - 1, len(_T_975)) - 1] if count > 1 else _T_975[0]
    half = t * spread * math.sqrt(1 + 1 / count)
    centre = float(logs.mean())
    return math.exp(centre - half), math.exp(centre + half)
