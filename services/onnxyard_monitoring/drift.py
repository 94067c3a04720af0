"""Whether a window's columns differ from the reference's: by more than chance, and by enough to matter.

One rule per kind of column, so that a verdict can be explained in a sentence:

- numbers: two-sample Kolmogorov-Smirnov test, and the Wasserstein-1 distance over the reference's standard deviation;
- categories (text): chi-square test of homogeneity, and the total variation distance;
- missing values (NaN, infinities) are a category of their own, so that a sensor that stops answering is seen.

A column has drifted when its p-value, adjusted over all columns (Benjamini-Hochberg), and its effect size both say so.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from onnxyard.lifecycle.drift import (
    FALSE_DISCOVERY_RATE,
    MINIMUM_EFFECT,
    MINIMUM_ROWS,
    ColumnDrift,
    DriftVerdict,
    benjamini_hochberg,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MINIMUM_REFERENCE_ROWS = 50
"""Below this the reference itself says too little."""
MINIMUM_EXPECTED = 5.0
"""Least expected count per cell of a chi-square test (Cochran's rule); rarer categories are pooled."""
EXACT_BELOW = 100
"""Rows under which the Kolmogorov-Smirnov test uses its exact distribution."""
NAMED = 3
"""Columns a sentence names before it says "and others"."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A window's verdict with its evidence.

    Attributes:
        verdict: Drift, no drift, or undecided.
        columns: One entry per compared column, the most surprising first (by q-value, then effect).
        detail: The verdict as a sentence, and what could not be compared.
    """

    verdict: DriftVerdict
    columns: tuple[ColumnDrift, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class _Measured:
    column: str
    test: str
    p_value: float
    effect: float
    note: str = ""


def compare(reference: Mapping[str, np.ndarray], window: Mapping[str, np.ndarray]) -> Comparison:
    """Compare two tables column by column.

    Args:
        reference: Column name to values: float64 [n] for numbers, str [n] for categories.
        window: The same columns, with m values each.

    Returns:
        UNDECIDED where either side has too few rows or nothing can be compared; no column is then marked as drifted.
    """
    measured, remarks = _measure(reference, window)
    rows = min((len(window[name]) for name in window), default=0)
    base = min((len(reference[name]) for name in reference), default=0)
    enough = rows >= MINIMUM_ROWS and base >= MINIMUM_REFERENCE_ROWS
    q_values = benjamini_hochberg(tuple(each.p_value for each in measured))
    columns = tuple(
        ColumnDrift(
            column=each.column,
            test=each.test,
            p_value=each.p_value,
            q_value=q_value,
            effect=each.effect,
            drifted=enough and q_value <= FALSE_DISCOVERY_RATE and each.effect >= MINIMUM_EFFECT,
        )
        for each, q_value in zip(measured, q_values, strict=True)
    )
    columns = tuple(sorted(columns, key=lambda c: (not c.drifted, c.q_value, -c.effect, c.column)))
    if rows < MINIMUM_ROWS:
        verdict, said = DriftVerdict.UNDECIDED, f"{rows} rows are too few for a verdict, which needs {MINIMUM_ROWS}."
    elif base < MINIMUM_REFERENCE_ROWS:
        verdict = DriftVerdict.UNDECIDED
        said = f"The reference has {base} rows; a verdict needs {MINIMUM_REFERENCE_ROWS}."
    elif not columns:
        verdict, said = DriftVerdict.UNDECIDED, "No column of the window can be compared with the reference."
    else:
        verdict = DriftVerdict.DRIFT if any(c.drifted for c in columns) else DriftVerdict.NO_DRIFT
        said = _sentence(columns)
    drifted = {c.column for c in columns if c.drifted}
    notes = [each.note for each in measured if each.note and each.column in drifted]
    return Comparison(verdict, columns, " ".join([said, *remarks, *notes]))


def _measure(
    reference: Mapping[str, np.ndarray], window: Mapping[str, np.ndarray]
) -> tuple[list[_Measured], list[str]]:
    """Test every column both sides have, and say which cannot be compared."""
    measured: list[_Measured] = []
    changed = []
    for name in reference:
        if name not in window:
            continue
        before, now = np.asarray(reference[name]), np.asarray(window[name])
        if len(before) == 0 or len(now) == 0:
            continue
        if _is_number(before) != _is_number(now):
            changed.append(name)
        elif _is_number(before):
            measured.extend(_numbers(name, before.astype(np.float64), now.astype(np.float64)))
        else:
            measured.append(_categories(name, before.astype(str), now.astype(str)))
    remarks = []
    if absent := [name for name in reference if name not in window]:
        remarks.append(f"Missing from the window: {_names(absent)}.")
    if unknown := [name for name in window if name not in reference]:
        remarks.append(f"Unknown to the reference: {_names(unknown)}.")
    if changed:
        remarks.append(f"Numbers on one side and text on the other: {_names(changed)}.")
    return measured, remarks


def _is_number(values: np.ndarray) -> bool:
    return values.dtype.kind in "biuf"


def _numbers(name: str, before: np.ndarray, now: np.ndarray) -> list[_Measured]:
    """The column's finite values, and (where there are any) its missing ones as a category of their own."""
    known_before, known_now = np.isfinite(before), np.isfinite(now)
    measured = []
    if not (known_before.all() and known_now.all()):
        labels = np.array(["missing", "present"])
        shares = _categories(f"{name} (missing)", labels[known_before.astype(int)], labels[known_now.astype(int)])
        measured.append(shares)
    before, now = before[known_before], now[known_now]
    if len(before) == 0 or len(now) == 0:
        return measured
    # The exact distribution costs n * m; the limit is good long before that hurts.
    with warnings.catch_warnings():
        # The exact one gives way to the limit by itself where its integers would overflow, and says so each time.
        warnings.filterwarnings("ignore", message="ks_2samp: Exact calculation unsuccessful", category=RuntimeWarning)
        test = stats.ks_2samp(before, now, method="exact" if max(len(before), len(now)) < EXACT_BELOW else "asymp")
    measured.append(_Measured(name, "ks", float(test.pvalue), _wasserstein(before, now)))
    return measured


def _wasserstein(before: np.ndarray, now: np.ndarray) -> float:
    """Wasserstein-1 distance in standard deviations of the reference.

    A constant reference has none; then both samples' pooled deviation stands in, which is zero only where they agree.
    Both are scaled to the largest magnitude first, so that neither tiny nor huge numbers lose the distance.
    """
    magnitude = max(float(np.abs(before).max()), float(np.abs(now).max()))
    if magnitude == 0.0:
        return 0.0
    before, now = before / magnitude, now / magnitude
    deviation = float(before.std()) if np.ptp(before) > 0 else float(np.concatenate([before, now]).std())
    if np.ptp(np.concatenate([before, now])) == 0.0 or deviation == 0.0:
        return 0.0
    return float(stats.wasserstein_distance(before, now)) / deviation


def _categories(name: str, before: np.ndarray, now: np.ndarray) -> _Measured:
    values, codes = np.unique(np.concatenate([before, now]), return_inverse=True)
    table = np.stack(
        [
            np.bincount(codes[: len(before)], minlength=len(values)),
            np.bincount(codes[len(before) :], minlength=len(values)),
        ]
    )
    shares = table / table.sum(axis=1, keepdims=True)
    effect = 0.5 * float(np.abs(shares[0] - shares[1]).sum())
    new = [str(value) for value, (then, since) in zip(values, table.T, strict=True) if then == 0 and since > 0]
    pooled = _pool_rare(table)
    p_value = float(stats.chi2_contingency(pooled, correction=False).pvalue) if pooled.shape[1] > 1 else 1.0
    note = f"New in {name}: {_names(new)}." if new else ""
    return _Measured(name, "chi2", p_value, effect, note)


def _pool_rare(table: np.ndarray) -> np.ndarray:
    """Sum the categories whose expected count is too small on either side into one column ([2, k] to [2, <= k])."""
    expected_share = table.sum(axis=0) / table.sum()
    rare = expected_share * table.sum(axis=1).min() < MINIMUM_EXPECTED
    if not rare.any():
        return table
    return np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])


def _sentence(columns: tuple[ColumnDrift, ...]) -> str:
    drifted = [c for c in columns if c.drifted]
    if not drifted:
        each = "The one column does not differ" if len(columns) == 1 else f"None of {len(columns)} columns differs"
        return f"{each} from the reference by more than chance and by enough to matter."
    named = [f"{c.column} by {c.effect:.2f} {'sigma' if c.test == 'ks' else 'in share'}" for c in drifted]
    verb = "differs" if len(drifted) == 1 else "differ"
    return f"{len(drifted)} of {len(columns)} columns {verb} from the reference: {_names(named)}."


def _names(names: list[str]) -> str:
    more = len(names) - NAMED
    shown = ", ".join(names[:NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
