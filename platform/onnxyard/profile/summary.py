"""Ten numbers that say how a tensor's rows look: what an image, a signal or a long vector is logged as."""

from __future__ import annotations

import numpy as np

STATISTICS = ("mean", "std", "min", "max", "p05", "p50", "p95", "gradient", "share_at_min", "share_at_max")
"""Over all values of a row; `gradient` is the mean absolute difference of neighbours along the last two axes, the
shares are those of values equal to the row's own smallest and largest (flat or clipped images show there)."""
LARGEST = 1e100
"""Finite, and so are sums of its squares."""


def finite(values: np.ndarray) -> np.ndarray:
    """As float64, with NaN as 0 and magnitudes of at most `LARGEST`, so that no statistic of it can be NaN."""
    wide = (values.real if values.dtype.kind == "c" else values).astype(np.float64)
    return np.clip(np.nan_to_num(wide, nan=0.0, posinf=LARGEST, neginf=-LARGEST), -LARGEST, LARGEST)


def summarise(values: np.ndarray) -> np.ndarray:
    """The statistics of each row.

    Args:
        values: Numeric [rows, ...].

    Returns:
        float64 [rows, 10] in the order of `STATISTICS`; zeros where a row holds no value.
    """
    rows = len(values)
    made = np.zeros((rows, len(STATISTICS)))
    if not values.size:
        return made
    wide = finite(values)
    flat = np.sort(wide.reshape(rows, -1), axis=1)
    count = flat.shape[1]
    made[:, 0] = flat.mean(axis=1)
    made[:, 1] = flat.std(axis=1)
    made[:, 2], made[:, 3] = flat[:, 0], flat[:, -1]
    # Nearest ranks of the sorted row: exact, and cheaper than interpolating.
    made[:, 4:7] = flat[:, np.rint(np.array([0.05, 0.5, 0.95]) * (count - 1)).astype(int)]
    made[:, 7] = _gradient(wide)
    made[:, 8] = (flat == flat[:, :1]).mean(axis=1)
    made[:, 9] = (flat == flat[:, -1:]).mean(axis=1)
    return made


def _gradient(values: np.ndarray) -> np.ndarray:
    axes = [axis for axis in range(max(1, values.ndim - 2), values.ndim) if values.shape[axis] > 1]
    steps = [np.abs(np.diff(values, axis=axis)).reshape(len(values), -1) for axis in axes]
    return np.concatenate(steps, axis=1).mean(axis=1) if steps else np.zeros(len(values))
