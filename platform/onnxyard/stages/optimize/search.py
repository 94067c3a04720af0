"""The search on one target: points are proposed, made and examined, and the best meet in the finals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.candidate import Candidate, Outcome
from onnxyard.measuring.exclusive import working_seconds
from onnxyard.stages.optimize.finals import Finals, finalists
from onnxyard.stages.optimize.goals import choose, pareto
from onnxyard.stages.optimize.proposals import HOPELESS, Proposals, Verdict
from onnxyard.stages.optimize.tried import BASELINE, Tried

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxyard.lifecycle.candidate import Ratio
    from onnxyard.stages.optimize.examiner import Examiner
    from onnxyard.stages.optimize.journal import Journal
    from onnxyard.stages.optimize.makers import Made, Makers
    from onnxyard.stages.optimize.space import Point

    Progress = Callable[[int, dict[str, float]], None]

FINALS_SHARE = 0.3
"""Of the budget, kept for the finals."""
PATIENCE = 8
"""So many settings in a row that better nothing end the search before its time."""
_BETTER = 0.99
"""A cost this much below the best so far is progress."""
_FAR = 2.0
"""Settings do not make up for this: what is so many times slower than the best is not varied."""


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
        progress: Progress,
    ) -> None:
        self._examiner, self._makers, self._journal = examiner, makers, journal
        self._budget_s, self._repeats, self._workers = budget_s, repeats, workers
        self._progress = progress
        self._made: dict[str, Made] = {}

    def run(self) -> Found:
        """Search.

        Raises:
            InvalidRequestError: the budget is too small to measure anything.
            GateFailedError: no candidate meets every goal.
            UnsupportedModelError: the baseline does not run on the target.
            UserCodeError: the project's own code failed.
        """
        began = working_seconds()
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
        took = working_seconds() - began
        if took > self._budget_s * (1 - FINALS_SHARE):
            raise InvalidRequestError(
                f"budget_s = {self._budget_s:g} is too small to measure anything: making, scoring and timing the "
                f"baseline alone took {took:.1f} s.",
                where="[optimize] budget_s",
                remedy=f"Give it at least {5 * took:.0f}.",
            )
        return tried

    def _explore(self, until: float) -> None:
        subject = self._examiner.subject
        proposals = Proposals(subject.space, seed=subject.seed)
        proposals.tell(subject.space.baseline, self._verdict(self._examiner.tried[0]))
        self._propose(proposals, until)
        for point in proposals.not_met():
            self._examiner.skip(point)

    def _propose(self, proposals: Proposals, until: float) -> None:
        best, idle = 1.0, 0
        while idle < PATIENCE and (wave := proposals.wave(self._workers)):
            self._make(wave, until)
            for point in wave:
                if working_seconds() > until:
                    return
                tried = self._examine(point, until)
                verdict = self._verdict(tried)
                proposals.tell(point, verdict)
                self._learn(proposals, tried, best)
                better = verdict.excess <= 0 and verdict.cost < best * _BETTER
                idle = 0 if better or proposals.first_left else idle + 1
                best = min(best, verdict.cost) if verdict.excess <= 0 else best
                self._report(best, proposals.first_left, until)

    def _learn(self, proposals: Proposals, tried: Tried, best: float) -> None:
        """What one point's failure says of others."""
        point, candidate = tried.point, tried.candidate
        numeric = self._examiner.subject.space.numeric(point)
        chosen = {name: value for name, value in point.setup.options.items() if name in numeric}
        if candidate.outcome is Outcome.REFUSED or tried.file is None:  # of no use, however it is run
            proposals.rule_out(lambda other: other.recipe is point.recipe)
        elif candidate.outcome is Outcome.FAILED and chosen:  # this runtime does not compute so here
            proposals.rule_out(lambda other: other.way == point.way and chosen.items() <= other.setup.options.items())
        elif candidate.outcome is not Outcome.MEASURED or (candidate.ratio and candidate.ratio.low > best * _FAR):
            proposals.rule_out(lambda other: other.way == point.way and other.recipe is point.recipe)

    def _make(self, points: list[Point], until: float) -> None:
        missing = list(dict.fromkeys(p.recipe.name for p in points if p.recipe.name not in self._made))
        if missing:
            self._made |= self._makers.make(missing, limit_s=max(1.0, until - working_seconds()))

    def _examine(self, point: Point, until: float) -> Tried:
        made = self._made[point.recipe.name]
        name = self._examiner.subject.space.name(point)
        if made.file is not None:
            digest = Artifact.of_folder(made.file.parent).digest
            if (known := self._journal.find(point, name, made, digest)) is not None:
                self._examiner.restore(known)
                return known
        tried = self._examiner.examine(point, made, until=until)
        self._journal.write(tried)
        return tried

    def _verdict(self, tried: Tried) -> Verdict:
        """What the sampler hears of it."""
        candidate, goals = tried.candidate, self._examiner.subject.goals
        if not tried.measured or candidate.cost is None:
            return replace(HOPELESS, cost=candidate.ratio.value) if candidate.ratio else HOPELESS
        base = self._examiner.tried[0].candidate.cost or 1.0
        excess = max((each.excess for each in goals.shortfalls(candidate)), default=0.0)
        return Verdict(candidate.cost / base, candidate.drop_high or 0.0, excess)

    def _finals(self, baseline: Tried, end: float) -> Finals | None:
        subject = self._examiner.subject
        chosen = finalists(self._examiner.tried, subject)
        if subject.space.ways[subject.space.baseline.way].emulated:
            return None
        finals = Finals(
            baseline,
            chosen,
            subject,
            repeats=self._repeats,
            until=end,
            clock=working_seconds,
        )
        done = len(self._examiner.tried)

        def told(launch: int) -> None:
            self._progress(done, {"finals": float(launch), "seconds left": max(0.0, end - working_seconds())})

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

    def _report(self, best: float, left: int, until: float) -> None:
        self._progress(
            len(self._examiner.tried),
            {"best ratio": best, "left": float(left), "seconds left": max(0.0, until - working_seconds())},
        )
