"""The four splits of a project's data, and how a missing one is split off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import UserCodeError
from onnxyard.project.split import Batch, Batches, Change, Split, StreamedSplit

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NAMES", "Batch", "Split", "Splits", "StreamedSplit"]

NAMES = ("train", "calibration", "validation", "test")
SHARES = {"calibration": 0.05, "validation": 0.15, "test": 0.3}
"""Share of the rows that a missing split takes off `train`. The test split is the largest, because gates must prove
their thresholds with it: no error in n rows proves no more than an error rate below 3/n.
"""


class Splits:
    """What `data(config)` returns.

    Args:
        train: Rows to fit on; the missing splits are taken off it.
        calibration: Rows that quantization measures ranges on.
        validation: Rows that choices are made on (epochs, candidates), and the golden set is taken from.
        test: Rows that only the gates see.
            Each a `Split`, or anything that can be iterated again and again and gives (inputs, targets) batches.
    """

    def __init__(
        self,
        train: Split | Batches,
        calibration: Split | Batches | None = None,
        validation: Split | Batches | None = None,
        test: Split | Batches | None = None,
    ) -> None:
        given = {"train": train, "calibration": calibration, "validation": validation, "test": test}
        self._splits = {name: _as_split(name, split) for name, split in given.items() if split is not None}

    @property
    def train(self) -> Split:
        """Rows to fit on."""
        return self._splits["train"]

    @property
    def calibration(self) -> Split:
        """Rows that quantization measures ranges on."""
        return self._get("calibration")

    @property
    def validation(self) -> Split:
        """Rows that choices are made on, and the golden set is taken from."""
        return self._get("validation")

    @property
    def test(self) -> Split:
        """Rows that only the gates see."""
        return self._get("test")

    def __iter__(self) -> Iterator[tuple[str, Split]]:
        """The splits there are, as (name, split)."""
        return iter(self._splits.items())

    def completed(self, seed: int) -> Splits:
        """The same with every missing split taken off `train`.

        Rows are drawn by a generator seeded with `seed`, and stratified where the targets are 1-D integers: each class
        has its share of every split. A streamed split gives streamed parts.

        Raises:
            UserCodeError: `train` has too few rows to be split.
        """
        missing = [name for name in NAMES if name not in self._splits]
        if not missing:
            return self
        parts = divide(class_of_rows(self.train), {name: SHARES[name] for name in missing}, seed)
        empty = [name for name, rows in parts.items() if len(rows) == 0]
        if empty:
            raise UserCodeError(
                f"The train split has {len(self.train)} rows, too few to split off {', '.join(missing)}.",
                remedy="Give more rows, or give these splits yourself.",
            )
        made = {name: self.train.part(rows) for name, rows in parts.items()}
        return Splits(**{**self._splits, **made})

    def without(self, name: str) -> Splits:
        """The same without one of them (not `train`)."""
        return Splits(**{kept: split for kept, split in self._splits.items() if kept != name})

    def changed(self, change: Change) -> Splits:
        """All splits with their inputs changed, as through `preprocess`."""
        return Splits(**{name: split.changed(change) for name, split in self._splits.items()})

    def _get(self, name: str) -> Split:
        if name not in self._splits:
            raise UserCodeError(
                f"There is no {name} split here.",
                remedy="`train` is not given the test split, which is kept for the gates; `data` may give any of them.",
            )
        return self._splits[name]


def divide(strata: np.ndarray, shares: dict[str, float], seed: int) -> dict[str, np.ndarray]:
    """Deal rows out to `train` and the splits in `shares`.

    Each stratum is shuffled and laid end to end; a row's place within its stratum decides where it goes, so that each
    split has its share of each stratum to within one row, and over all strata as well.

    Args:
        strata: The stratum of each row, integers [rows].
        shares: The share of all rows that each split gets; their sum is below one.
        seed: Seeds the shuffle.

    Returns:
        Ascending row positions by split; together every row exactly once.
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(strata))
    ordered = shuffled[np.argsort(strata[shuffled], kind="stable")]
    # A low-discrepancy walk over [0, 1): consecutive rows of one stratum fall into the shares in their proportions.
    golden = (np.sqrt(5) - 1) / 2
    place = (np.arange(len(strata)) * golden + random.random()) % 1.0
    edges = np.cumsum([0.0, *shares.values()])
    parts = {name: np.sort(ordered[(place >= edges[i]) & (place < edges[i + 1])]) for i, name in enumerate(shares)}
    parts["train"] = np.sort(ordered[place >= edges[-1]])
    return parts


def class_of_rows(split: Split) -> np.ndarray:
    """The class of each row, numbered from 0, where targets are 1-D integers; 0 for all otherwise.

    Other targets (the masks of images, say) pass by and are not kept in memory.
    """
    rows, labels = 0, []
    for batch in split.batches(_BLOCK):
        rows += len(batch.targets)
        if isinstance(batch.targets, np.ndarray) and batch.targets.ndim == 1 and batch.targets.dtype.kind in "iub":
            labels.append(batch.targets)
    found = np.concatenate(labels) if labels else np.zeros(0, dtype=np.int64)
    return np.unique(found, return_inverse=True)[1] if len(found) == rows else np.zeros(rows, dtype=np.int64)


_BLOCK = 1024
"""Rows read at a time when only targets matter."""


def _as_split(name: str, given: object) -> Split:
    if isinstance(given, Split):
        return given
    if hasattr(given, "__iter__") and not isinstance(given, (str, bytes, dict, tuple, np.ndarray)):
        return StreamedSplit(given)
    raise UserCodeError(
        f"The {name} split is a {type(given).__name__}; give a Split(inputs, targets) or an iterable of batches."
    )
