"""The search on one target: a sampler proposes, candidates are made, examined, and the best meet in the finals.

Points are proposed by Optuna's tree-structured Parzen estimator with several objectives and constraints (Bergstra et
al., NeurIPS 2011; Ozaki et al., JAIR 73, 2022). Every recipe is met once with its runtime's defaults before settings
are varied, so that no recipe is missed by chance. For a seed and equal measurements the order is always the same.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.candidate import Candidate, Outcome
from onnxyard.stages.optimize.finals import Finals, finalists
from onnxyard.stages.optimize.goals import choose, pareto
from onnxyard.stages.optimize.tried import BASELINE, Tried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import optuna

    from onnxyard.lifecycle.candidate import Ratio
    from onnxyard.stages.optimize.examiner import Examiner
    from onnxyard.stages.optimize.journal import Journal
    from onnxyard.stages.optimize.makers import Made, Makers
    from onnxyard.stages.optimize.space import Point, Space

    Progress = Callable[[int, dict[str, float]], None]

FINALS_SHARE = 0.3
"""Of the budget, kept for the finals."""
PATIENCE = 10
"""So many settings in a row that better nothing end the search before its time."""
_ASKS = 20
"""How often the sampler is asked again when it repeats itself, before the next untried point is taken."""
_FAILED = 10.0
"""What a sampler is told of a candidate that failed: ten times the baseline's cost."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        candidates: All that were tried, the baseline first.
        chosen: The one that goes on, as tried.
        file: Of each candidate that was made, by name: its entry file.
    """

    candidates: tuple[Candidate, ...]
    chosen: Tried
    file: dict[str, Path]


class Search:
    """One target's search.

    Args:
        examiner: Examines points.
        makers: Makes what they need.
        journal: What an earlier run found, and what this one finds.
        budget_s: Seconds it may take.
        repeats: Timed calls of each finalist.
        workers: Candidates made at a time.
        scratch: For the finals' children.
        progress: Hears how it goes.
    """

    def __init__(
        self,
        examiner: Examiner,
        makers: Makers,
        journal: Journal,
        *,
        budget_s: float,
        repeats: int,
        workers: int,
        scratch: Path,
        progress: Progress,
    ) -> None:
        self._examiner, self._makers, self._journal = examiner, makers, journal
        self._budget_s, self._repeats, self._workers = budget_s, repeats, workers
        self._scratch, self._progress = scratch, progress
        self._made: dict[str, Made] = {}
        self._values: dict[str, tuple[list[float], float]] = {}
        self._left = 0

    def run(self) -> Found:
        """Search.

        Raises:
            InvalidRequestError: the budget is too small to measure anything.
            GateFailedError: no candidate meets every goal.
            UnsupportedModelError: the baseline does not run on the target.
            UserCodeError: the project's own code failed.
        """
        began = time.monotonic()
        end = began + self._budget_s
        explore_until = end - FINALS_SHARE * self._budget_s
        baseline = self._begin(began)
        self._explore(explore_until)
        last = self._finals(baseline, end)
        return self._found(last)

    def _begin(self, began: float) -> Tried:
        space = self._examiner.subject.space
        # Whatever the budget: without the baseline there is nothing to compare with, and nothing to go on.
        self._made |= self._makers.make([space.baseline.recipe.name], limit_s=max(self._budget_s, 60.0))
        tried = self._examiner.begin(self._made[space.baseline.recipe.name])
        took = time.monotonic() - began
        if took > self._budget_s * (1 - FINALS_SHARE):
            raise InvalidRequestError(
                f"budget_s = {self._budget_s:g} is too small to measure anything: making, scoring and timing the "
                f"baseline alone took {took:.1f} s.",
                where="[optimize] budget_s",
                remedy=f"Give it at least {5 * took:.0f}.",
            )
        self._note(tried)
        return tried

    def _explore(self, until: float) -> None:
        space = self._examiner.subject.space
        study = _study(self._examiner.subject.seed)
        untried = {space.name(point): point for point in space.all_points()}
        first = [point for point in space.first_points() if point != space.baseline]
        _tell(study, _asked(study, space, space.baseline), *self._values[space.name(space.baseline)])
        untried.pop(space.name(space.baseline), None)
        self._left = len(first)
        best, idle = 1.0, 0
        for wave in self._waves(study, first, untried):
            self._make([point for _, point in wave], until)
            for trial, point in wave:
                if time.monotonic() > until:
                    return
                tried = self._examine(point, until)
                values, constraint = self._values[tried.candidate.name]
                _tell(study, trial, values, constraint)
                self._left = max(0, self._left - 1)
                reached = min(best, values[0]) if constraint <= 0 else best
                idle = 0 if reached < best * 0.99 or self._left else idle + 1
                best = reached
                self._report(best, until)
            if idle >= PATIENCE or time.monotonic() > until:
                return

    def _waves(
        self, study: optuna.Study, first: list[Point], untried: dict[str, Point]
    ) -> Iterator[list[tuple[optuna.Trial, Point]]]:
        """What to try next, as many points as there are makers."""
        space = self._examiner.subject.space
        for at in range(0, len(first), self._workers):
            wave = first[at : at + self._workers]
            for point in wave:
                untried.pop(space.name(point), None)
            yield [(_asked(study, space, point), point) for point in wave]
        while untried:
            trial, point = self._proposed(study, untried)
            del untried[space.name(point)]
            yield [(trial, point)]

    def _proposed(self, study: optuna.Study, untried: dict[str, Point]) -> tuple[optuna.Trial, Point]:
        space = self._examiner.subject.space
        for _ in range(_ASKS):
            trial = study.ask()
            point = space.suggested(trial)
            name = space.name(point)
            if name in untried:
                return trial, point
            _tell(study, trial, *self._values[name])  # it repeats itself: it hears the same again
        # The next that shares its recipe with the best so far, else any.
        best = min(self._values, key=lambda name: self._values[name][0][0]).partition(" · ")[0]
        point = next((each for each in untried.values() if each.recipe.name == best), next(iter(untried.values())))
        return _asked(study, space, point), point

    def _make(self, points: list[Point], until: float) -> None:
        missing = list(dict.fromkeys(p.recipe.name for p in points if p.recipe.name not in self._made))
        if missing:
            self._made |= self._makers.make(missing, limit_s=max(1.0, until - time.monotonic()))

    def _examine(self, point: Point, until: float) -> Tried:
        made = self._made[point.recipe.name]
        name = self._examiner.subject.space.name(point)
        if made.file is not None:
            digest = Artifact.of_folder(made.file.parent).digest
            if (known := self._journal.find(point, name, made, digest)) is not None:
                self._examiner.restore(known)
                self._note(known)
                return known
        tried = self._examiner.examine(point, made, until=until)
        self._journal.write(tried)
        self._note(tried)
        return tried

    def _note(self, tried: Tried) -> None:
        """What the sampler hears of it: its cost against the baseline's and the bound of its drop, both to be small;
        and by how much it misses the goals, which must not be above 0.
        """  # noqa: D205
        candidate, goals = tried.candidate, self._examiner.subject.goals
        base = self._examiner.tried[0].candidate.cost or 1.0
        if not tried.measured or candidate.cost is None:
            seen = candidate.ratio.value if candidate.ratio else _FAILED
            self._values[candidate.name] = [seen, 1.0], 1.0
            return
        missed = goals.shortfalls(candidate)
        excess = max((each.excess for each in missed), default=0.0)
        self._values[candidate.name] = [candidate.cost / base, candidate.drop_high or 0.0], excess

    def _finals(self, baseline: Tried, end: float) -> Finals | None:
        subject = self._examiner.subject
        chosen = finalists(self._examiner.tried, subject)
        if not chosen or not subject.inputs or subject.space.ways[subject.space.baseline.way].emulated:
            return None
        finals = Finals(
            baseline,
            chosen,
            subject,
            scratch=self._scratch,
            repeats=self._repeats,
            until=end,
            clock=time.monotonic,
        )
        done = len(self._examiner.tried)

        def told(launch: int) -> None:
            self._progress(done, {"finals": float(launch), "seconds left": max(0.0, end - time.monotonic())})

        again = {each.candidate.name: each for each in finals.play(told)}
        self._examiner.tried[:] = [again.get(each.candidate.name, each) for each in self._examiner.tried]
        return finals

    def _found(self, finals: Finals | None) -> Found:
        tried, subject = self._examiner.tried, self._examiner.subject
        first = tried[0].candidate.name

        def against(one: str, other: str) -> Ratio | None:
            if finals is None:
                return None
            return finals.against(*(BASELINE if name == first else name for name in (one, other)))

        candidates = [each.candidate for each in tried]
        choice = choose(
            candidates,
            subject.goals,
            baseline=first,
            complexity={each.candidate.name: each.point.complexity for each in tried},
            against=against,
        )
        front = pareto(candidates)
        final = tuple(self._concluded(each, choice.candidate, choice.tied, choice.reason, front) for each in candidates)
        chosen = next(each for each in tried if each.candidate.name == choice.candidate.name)
        marked = next(each for each in final if each.chosen)
        return Found(
            final,
            replace(chosen, candidate=marked),
            {each.candidate.name: each.file for each in tried if each.file is not None},
        )

    def _concluded(
        self, one: Candidate, chosen: Candidate, tied: tuple[str, ...], reason: str, front: set[str]
    ) -> Candidate:
        if one.name == chosen.name:
            return replace(one, chosen=True, note=reason, pareto=one.name in front)
        if one.outcome is not Outcome.MEASURED or one.note:
            return replace(one, pareto=one.name in front)
        goals = self._examiner.subject.goals
        if one.name in tied:
            note = f"cannot be told apart from {chosen.name}, which is simpler"
        elif goals.minimize in {"size", "memory"}:
            note = f"larger than {chosen.name}"
        else:
            note = f"slower than {chosen.name}" if one.cost is not None else "its latency is not known here"
        return replace(one, pareto=one.name in front, note=note)

    def _report(self, best: float, until: float) -> None:
        self._progress(
            len(self._examiner.tried),
            {"best": best, "left": float(self._left), "seconds left": max(0.0, until - time.monotonic())},
        )


def _study(seed: int) -> optuna.Study:
    import optuna  # noqa: PLC0415 - the `optimize` extra

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        # `multivariate` and `group` are experimental in name; they are years old, and what a tree of settings needs.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=True)
    return optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)


def _asked(study: optuna.Study, space: Space, point: Point) -> optuna.Trial:
    """A trial of this very point, none of which the sampler draws."""
    study.enqueue_trial(space.parameters(point))
    trial = study.ask()
    space.suggested(trial)
    return trial


def _tell(study: optuna.Study, trial: optuna.Trial, values: list[float], constraint: float) -> None:
    trial.set_constraint("goals", constraint)
    study.tell(trial, values)
