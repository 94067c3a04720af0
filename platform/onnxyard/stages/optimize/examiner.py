"""A point's examination: cheap questions first, so that most of the time goes to what may be chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import OnnxyardError, StorageFullError, UnsupportedModelError, UserCodeError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.candidate import Candidate, Outcome
from onnxyard.lifecycle.setup import Setup
from onnxyard.measuring.bench import Bench
from onnxyard.measuring.exclusive import measuring_alone, working_seconds
from onnxyard.measuring.intervals import percentile, ratio
from onnxyard.measuring.turns import Turns, play, warm_up
from onnxyard.stages.optimize.goals import Goals
from onnxyard.stages.optimize.makers import Made
from onnxyard.stages.optimize.space import Space
from onnxyard.stages.optimize.tried import BASELINE, Tried, timed

if TYPE_CHECKING:
    from onnxyard.lifecycle.candidate import Ratio
    from onnxyard.stages.optimize.quality import Examination, Quality
    from onnxyard.stages.optimize.space import Point

FIRST_ROUNDS = 2
ROUNDS = 6
HOPELESS = 4.0
"""So many times slower than the baseline, a candidate is not even scored: it would take longer than all the others."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The target whose candidates are examined.

    Attributes:
        name: The target's name.
        space: What can be tried.
        goals: What is asked for.
        inputs: Model inputs by batch size.
        weights: By batch size.
        portable: Whether only standard operators are allowed.
        share: The percentile that decides.
        seed: Of orders and resampling.
        start: Starts a bench of a model's file and a setup.
    """

    name: str
    space: Space
    goals: Goals
    inputs: Mapping[int, Mapping[str, np.ndarray]]
    weights: Mapping[int, float]
    portable: bool
    share: float
    seed: int
    start: Callable[[Path, Setup], Bench]


class Examiner:
    """Examines points one after the other; the baseline stays loaded and takes turns with each.

    Args:
        subject: The target.
        examination: Scores candidates.
    """

    def __init__(self, subject: Subject, examination: Examination) -> None:
        self.subject = subject
        self._examination = examination
        self._random = np.random.default_rng(subject.seed)
        self._baseline: Bench | None = None
        self._qualities: dict[tuple[str, str, str], Quality] = {}
        self._seen: dict[tuple[str, str], str] = {}
        self.tried: list[Tried] = []

    def close(self) -> None:
        """End the baseline's process."""
        if self._baseline is not None:
            self._baseline.close()

    def begin(self, made: Made) -> Tried:
        """Load, score and time the baseline.

        Raises:
            UnsupportedModelError: it could not be made, or does not run on the target.
            InvalidRequestError: the project has no such metric; a runtime's option is wrong.
            MissingExtraError: the target's first runtime is not installed.
            UserCodeError: the project's own code failed.
        """
        point = self.subject.space.baseline
        if made.file is None:
            raise UnsupportedModelError(f"The baseline cannot be made: {made.failure}")
        tried = self._described(point, made)
        with measuring_alone():
            self._baseline = self.subject.start(made.file, point.setup)
            quality = self._examination.set_baseline(self._baseline)
            warm_up(self._baseline, self.subject.inputs)
            turns = Turns()
            if not self._emulated(point):
                for size in self.subject.inputs:
                    play({BASELINE: self._baseline}, batch_size=size, rounds=ROUNDS, random=self._random, turns=turns)
        self._remember(point, tried, quality)
        return self._keep(self._completed(tried, self._baseline, quality, BASELINE, turns))

    def examine(self, point: Point, made: Made, *, until: float) -> Tried:
        """Load, time and score a candidate, unless what is seen of it on the way shows that it will not be chosen.

        Args:
            point: What to try.
            made: Its recipe's model.
            until: When no time is left (`working_seconds`).

        Raises:
            UserCodeError: the project's own code failed.
        """
        tried = self._described(point, made)
        if made.file is None:
            return self._keep(tried.ended(Outcome.FAILED if made.broke else Outcome.REFUSED, made.failure))
        if refused := self._refusal(tried):
            return self._keep(tried.ended(Outcome.REFUSED, refused))
        try:
            with measuring_alone(), self.subject.start(made.file, point.setup) as bench:
                return self._keep(self._examined(tried, bench, until))
        except (UserCodeError, StorageFullError):
            raise
        except OnnxyardError as error:
            note = f"does not run on {self.subject.name}: {error.detail} {error.remedy}".strip()
            return self._keep(tried.ended(Outcome.FAILED, note))

    def skip(self, point: Point) -> None:
        """Write down a point that no time was left for."""
        self._keep(self._described(point, Made(None)).ended(Outcome.STOPPED, "no time was left to try it"))

    def restore(self, tried: Tried) -> None:
        """Take over what an earlier run of the same search found."""
        self._keep(tried)

    def _examined(self, tried: Tried, bench: Bench, until: float) -> Tried:
        """Timing first, since it costs a second; then the score."""
        assert self._baseline is not None  # noqa: S101 - it came first
        point, turns = tried.point, Turns()
        warm_up(bench, self.subject.inputs)
        if not self._emulated(point):
            benches = {BASELINE: self._baseline, tried.candidate.name: bench}
            for rounds in (FIRST_ROUNDS, ROUNDS - FIRST_ROUNDS):
                for size in self.subject.inputs:
                    play(benches, batch_size=size, rounds=rounds, random=self._random, turns=turns)
                if stopped := self._hopeless(tried, turns):
                    return stopped
        quality = self._quality(tried, bench, until)
        if quality is None:
            return tried.ended(Outcome.STOPPED, "no time was left to score it")
        return self._completed(tried, bench, quality, tried.candidate.name, turns)

    def _hopeless(self, tried: Tried, turns: Turns) -> Tried | None:
        """The candidate, stopped, where its quality can make no difference any more: it need not be scored then."""
        ours, theirs = turns.blocks[tried.candidate.name], turns.blocks[BASELINE]
        seen = ratio(ours, theirs, self.subject.weights, share=50, seed=self.subject.seed)
        if seen.low > HOPELESS:
            why = "too slow to be scored in time"
        elif (better := self._beaten_by(tried.candidate, seen)) is not None:
            why = f"slower than {better} and no smaller"
        else:
            return None
        stopped = tried.ended(
            Outcome.STOPPED, f"{why}: {seen.value:.3g} [{seen.low:.3g}, {seen.high:.3g}] times the baseline's latency"
        )
        return replace(stopped, candidate=replace(stopped.candidate, ratio=seen))

    def _beaten_by(self, candidate: Candidate, seen: Ratio) -> str | None:
        """An allowed candidate that is surely faster and no larger. Where memory is to be small, that says nothing."""
        goals = self.subject.goals
        if goals.minimize == "memory":
            return None
        for each in (other.candidate for other in self.tried if other.measured):
            fast = each.ratio is not None and each.ratio.high < seen.low
            if fast and (each.size_bytes or 0) <= (candidate.size_bytes or 0) and not goals.shortfalls(each):
                return each.name
        return None

    def _quality(self, tried: Tried, bench: Bench, until: float) -> Quality | None:
        key = self._numerics(tried.point, tried)
        if key in self._qualities:
            return self._qualities[key]
        size = next(iter(self.subject.inputs))
        block = bench.block(batch_size=size, calls=1, seconds=0, idle=0)
        if working_seconds() + float(block.ms[0]) / 1e3 / size * self._examination.rows > until:
            return None
        quality = self._examination.judge(bench, exact=tried.point.precision == "fp32")
        self._qualities[key] = quality
        return quality

    def _completed(self, tried: Tried, bench: Bench, quality: Quality, name: str, turns: Turns) -> Tried:
        goals = self.subject.goals
        size = next(iter(self.subject.inputs))
        medians = {n: (percentile(blocks, 50),) for n, blocks in turns.blocks.get(name, {}).items()}
        candidate = replace(
            tried.candidate,
            outcome=Outcome.MEASURED,
            quality=quality.value,
            drop_high=quality.drop_high,
            memory_bytes=bench.memory_bytes(),
            load_ms=bench.load_ms,
            placement=bench.placement(batch_size=size),
        )
        if medians:
            candidate = timed(
                candidate, name, turns, medians, self.subject.weights, share=self.subject.share, seed=self.subject.seed
            )
        missed = goals.shortfalls(candidate)
        note = "; ".join(map(str, missed))
        if any(each.goal == "max_drop" for each in missed) and quality.drop <= goals.max_drop:
            note += (
                f" (it drops by {quality.drop:.3g} on {quality.rows} rows; no more than {goals.max_drop:g} cannot be "
                f"shown with {goals.confidence:.0%} confidence)"
            )
        candidate = replace(candidate, cost=goals.cost(candidate, self.subject.weights), note=note)
        return replace(tried, candidate=candidate, medians=medians)

    def _described(self, point: Point, made: Made) -> Tried:
        folder = None if made.file is None else made.file.parent
        candidate = Candidate(
            name=self.subject.space.name(point),
            recipe=point.recipe.name,
            target=self.subject.name,
            setup=point.setup,
            outcome=Outcome.FAILED,
            precision=made.precision if point.precision == point.recipe.precision else point.precision,
            portable=made.portable,
            artifact=None if folder is None else Artifact.of_folder(folder),
            facts=dict(made.facts),
        )
        return Tried(point, candidate, made.file)

    def _refusal(self, tried: Tried) -> str:
        """Why it need not be loaded; empty where it must be."""
        candidate = tried.candidate
        assert candidate.artifact is not None  # noqa: S101 - it was made
        if self.subject.portable and not candidate.portable:
            return "it has operators outside the ONNX standard, and the target must be portable"
        if any(each.goal == "disk_mb" for each in self.subject.goals.shortfalls(candidate)):
            return "; ".join(str(each) for each in self.subject.goals.shortfalls(candidate))
        twin = self._seen.setdefault((candidate.artifact.digest, str(candidate.setup)), candidate.name)
        return "" if twin == candidate.name else f"the same model as {twin}, byte for byte"

    def _remember(self, point: Point, tried: Tried, quality: Quality) -> None:
        assert tried.candidate.artifact is not None  # noqa: S101 - it was made
        self._seen[(tried.candidate.artifact.digest, str(point.setup))] = tried.candidate.name
        self._qualities[self._numerics(point, tried)] = quality

    def _numerics(self, point: Point, tried: Tried) -> tuple[str, str, str]:
        """Candidates alike in this answer alike: settings of speed do not change answers."""
        assert tried.candidate.artifact is not None  # noqa: S101 - it was made
        numeric = self.subject.space.numeric(point)
        told = " ".join(f"{name}={value}" for name, value in sorted(point.setup.options.items()) if name in numeric)
        return tried.candidate.artifact.digest, f"{point.setup.runtime}:{point.setup.provider}", told

    def _emulated(self, point: Point) -> bool:
        return self.subject.space.ways[point.way].emulated

    def _keep(self, tried: Tried) -> Tried:
        self.tried.append(tried)
        return tried
