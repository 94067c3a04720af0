"""How good is a candidate? The project's metric on the validation split, and how far it may have dropped."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import UnsupportedModelError
from onnxyard.parity.bootstrap import RESAMPLES, resample
from onnxyard.parity.error import compare
from onnxyard.project.split import Batch, join
from onnxyard.stages.scoring import Answers, metric_of
from onnxyard.tensors.files import write_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.measuring.bench import Bench
    from onnxyard.parity.bootstrap import Resamples
    from onnxyard.project.file import OptimizeSection
    from onnxyard.project.functions import Functions
    from onnxyard.project.processing import Processing
    from onnxyard.project.protocols import Targets
    from onnxyard.project.split import Split

ROWS = 64
"""Rows per call."""
_FEWEST_RESAMPLES = 200
_SECONDS = 3.0
"""A slow metric (mean average precision) is resampled less often, but not less than the fewest."""
SAME = 1e-4
"""Outputs this close to the baseline's, relative to their largest, differ by the order of sums alone."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What the validation split says of a candidate.

    Attributes:
        value: The metric.
        drop: How far it lies below the baseline's.
        drop_high: With the confidence asked for, the true drop is at most this.
        rows: Rows of evidence.
    """

    value: float
    drop: float
    drop_high: float
    rows: int


class Examination:
    """Scores candidates on the same rows, preprocessed once.

    Args:
        validation: The split.
        processing: The version's.
        functions: The project's.
        goals: `metric` and `confidence`.
        folder: Where the rows are kept.
        seed: Of the resampling.

    Raises:
        UserCodeError: the split is empty, or `preprocess` failed.
    """

    def __init__(
        self,
        validation: Split,
        processing: Processing,
        functions: Functions,
        goals: OptimizeSection,
        folder: Path,
        *,
        seed: int,
    ) -> None:
        self._functions, self._goals, self._seed = functions, goals, seed
        self._rows: list[tuple[Path, Targets]] = []
        for number, batch in enumerate(validation.batches(ROWS)):
            place = folder / f"{number:05d}"
            write_tensors(place, processing.before(batch.inputs))
            self._rows.append((place, batch.targets))
        self._resamples = RESAMPLES
        self._reference: Resamples | None = None
        self._outputs: dict[str, np.ndarray] = {}
        self.rows = sum(len(targets) for _, targets in self._rows)

    def set_baseline(self, bench: Bench) -> Quality:
        """Score the baseline: what every other is compared with.

        Raises:
            InvalidRequestError: the project has no metric of that name.
            UnsupportedModelError: the model fails on the rows.
            UserCodeError: the metrics failed.
        """
        answers = self._answers(bench)
        began = time.monotonic()
        value = metric_of(answers.scores(self._functions), self._goals.metric, where="[optimize] metric")
        took = max(time.monotonic() - began, 1e-6)
        self._resamples = int(np.clip(_SECONDS / took, _FEWEST_RESAMPLES, RESAMPLES))
        self._reference, self._outputs = self._resampled(answers), answers.outputs
        return Quality(value, 0.0, 0.0, answers.rows)

    def judge(self, bench: Bench, *, exact: bool) -> Quality:
        """Score a candidate.

        Args:
            bench: The candidate.
            exact: Whether it computes in the baseline's precision. If its answers are the baseline's but for the order
                of sums, its drop is none: that is more than any number of rows could say.

        Raises:
            UnsupportedModelError: the model fails on the rows, or gives other outputs than the baseline.
            UserCodeError: the metrics failed.
        """
        assert self._reference is not None  # noqa: S101 - the baseline comes first
        answers = self._answers(bench)
        if lost := sorted(self._outputs.keys() - answers.outputs.keys()):
            raise UnsupportedModelError(f"The candidate does not give the output {lost[0]!r}.")
        if exact and self._same(answers.outputs):
            value = answers.scores(self._functions)[self._goals.metric]
            return Quality(value, self._reference.observed[self._goals.metric] - value, 0.0, answers.rows)
        own = self._resampled(answers)
        drop = self._reference.drop_to(own, self._goals.metric, confidence=self._goals.confidence)
        return Quality(own.observed[self._goals.metric], drop.observed, drop.high, answers.rows)

    def _same(self, outputs: dict[str, np.ndarray]) -> bool:
        for name, wanted in self._outputs.items():
            largest = float(np.max(np.abs(wanted), initial=0.0)) if wanted.dtype.kind in "fiu" else 0.0
            if not compare({name: wanted}, {name: outputs[name]}).max_abs <= SAME * max(largest, 1e-12):
                return False
        return True

    def _answers(self, bench: Bench) -> Answers:
        answered = []
        for folder, targets in self._rows:
            outputs = bench.answer(folder)
            for name, values in outputs.items():
                if len(values) != len(targets):
                    raise UnsupportedModelError(
                        f"The model gives {len(values)} rows of {name!r} for {len(targets)} rows."
                    )
            answered.append(Batch(outputs, targets))
        outputs, targets = join(answered)
        return Answers(outputs, targets)

    def _resampled(self, answers: Answers) -> Resamples:
        return resample(
            answers.resampled(self._functions), rows=answers.rows, resamples=self._resamples, seed=self._seed
        )
