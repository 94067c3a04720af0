"""Outputs of two runs, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.tensors.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Mapping

Arrays = dict[str, np.ndarray]

_NUDGE = 2.0**-18


def arrays(outputs: Mapping[str, object]) -> Arrays:
    """Outputs as arrays: sequences and maps taken apart."""
    found: Arrays = {}
    for name, value in outputs.items():
        if isinstance(value, np.ndarray):
            found[name] = value
        elif isinstance(value, list):
            found |= arrays({f"{name}[{at}]": each for at, each in enumerate(value)})
        elif isinstance(value, dict):
            found |= arrays({f"{name}[{key}]": each for key, each in value.items()})
        elif value is not None:
            found[name] = np.asarray(value)
    return found


def apart(wanted: np.ndarray, got: np.ndarray | None) -> float:
    """The largest difference relative to the largest value; infinite where the two cannot be compared."""
    if got is None or wanted.shape != got.shape or wanted.dtype != got.dtype:
        return np.inf
    if wanted.dtype.kind in "OUSb":
        return 0.0 if np.array_equal(wanted, got) else np.inf
    kind = np.complex128 if wanted.dtype.kind == "c" else np.float64
    a, b = wanted.astype(kind), got.astype(kind)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0
    if not (np.isfinite(a[~same]).all() and np.isfinite(b[~same]).all()):
        return np.inf
    scale = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    return float(np.abs(a - b)[~same].max()) / max(scale, float(np.finfo(np.float32).tiny))


def nudged(inputs: Arrays, random: np.random.Generator) -> Arrays:
    """Inputs whose floating-point values are moved by less than a few operations in float32 resolve."""
    return {name: _nudged(array, random) for name, array in inputs.items()}


def _nudged(array: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if not is_floating(array.dtype):
        return array
    step = max(_NUDGE, float(np.finfo(array.dtype).eps))
    return (array * (1 + step * random.choice([-1.0, 1.0], array.shape))).astype(array.dtype)
