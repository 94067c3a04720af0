"""How long one call takes: warm, interleaved, with the garbage collector off."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxyard.ports.runtime import LoadedModel

WARM_UP = 20
"""Calls before the clock counts: the first ones allocate memory and choose kernels."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of one model's calls, in milliseconds (numpy's linear interpolation)."""

    p50_ms: float
    p99_ms: float
    calls: int


def measure(
    models: Mapping[str, LoadedModel], inputs: Mapping[str, np.ndarray], *, repeats: int, seed: int
) -> dict[str, Latency]:
    """Time `repeats` calls of each model in one loop.

    Every round calls each model once, in an order drawn anew: a slow moment of the machine, a cache left warm by the
    neighbour or a clock that settles then meets all of them alike, and their ratio stays comparable.

    Args:
        models: By any name; at least one.
        inputs: One call's inputs, the same for all.
        repeats: Timed calls per model; at least 1.
        seed: Of the order.
    """
    names = list(models)
    samples = {name: np.empty(repeats) for name in names}
    random = np.random.default_rng(seed)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(WARM_UP):
            for name in names:
                models[name].run(inputs)
        for index in range(repeats):
            for position in random.permutation(len(names)):
                name = names[position]
                start = time.perf_counter_ns()
                models[name].run(inputs)
                samples[name][index] = (time.perf_counter_ns() - start) / 1e6
    finally:
        if collecting:
            gc.enable()
    return {name: _latency(times) for name, times in samples.items()}


def _latency(times: np.ndarray) -> Latency:
    p50, p99 = (float(value) for value in np.percentile(times, [50, 99]))
    return Latency(p50, p99, len(times))
