"""What to try next: every recipe once, in every way, with the defaults; then settings where a sampler hopes for most.

The sampler is Optuna's tree-structured Parzen estimator with several objectives and constraints (Bergstra et al.,
NeurIPS 2011; Ozaki et al., JAIR 73, 2022). For a seed and equal measurements the order is always the same.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import optuna

    from onnxyard.stages.optimize.space import Point, Space

_ASKS = 20
"""How often the sampler is asked again when it repeats itself, before the next untried point is taken."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sampler hears of a point.

    Attributes:
        cost: Against the baseline's; the smaller, the better.
        drop: The bound of the quality's drop; likewise.
        excess: By how much it misses the goals; above 0 it is not allowed.
    """

    cost: float
    drop: float
    excess: float


HOPELESS = Verdict(10.0, 1.0, 1.0)
"""Of what failed, or need not be tried at all."""


class Proposals:
    """Proposes each point once.

    Args:
        space: All there is.
        seed: Of the sampler.
    """

    def __init__(self, space: Space, *, seed: int) -> None:
        self._space = space
        self._study = _study(seed)
        self._trials: dict[str, optuna.Trial] = {}
        self._pending: dict[str, Point] = {}
        self._heard: dict[str, Verdict] = {}
        self._first = [point for point in space.first_points() if point != space.baseline]
        self._untried = {space.name(point): point for point in space.all_points() if point != space.baseline}

    @property
    def first_left(self) -> int:
        """Recipes in ways that were not met yet."""
        return len(self._first)

    def not_met(self) -> list[Point]:
        """The first point of each recipe that was not met at all."""
        met = {name.partition(" · ")[0] for name in self._heard}
        left = [*self._pending.values(), *self._first]
        return list({point.recipe.name: point for point in reversed(left) if point.recipe.name not in met}.values())

    def wave(self, most: int) -> list[Point]:
        """What to try now: at most so many points; settings come one by one, each with all that was heard before."""
        if self._first:
            wave, self._first = self._first[:most], self._first[most:]
            return [self._proposed(point, self._asked(point)) for point in wave]
        return [self._sampled()] if self._untried else []

    def tell(self, point: Point, verdict: Verdict) -> None:
        """What became of a point."""
        name = self._space.name(point)
        self._heard[name] = verdict
        self._pending.pop(name, None)
        self._finish(self._trials.pop(name) if name in self._trials else self._asked(point), verdict)

    def rule_out(self, hopeless: Callable[[Point], bool]) -> None:
        """These points need not be tried any more."""
        self._first = [point for point in self._first if not hopeless(point)]
        for name in [name for name, point in self._untried.items() if hopeless(point)]:
            del self._untried[name]
            self._heard[name] = HOPELESS

    def _sampled(self) -> Point:
        for _ in range(_ASKS):
            trial = self._study.ask()
            point = self._space.suggested(trial)
            name = self._space.name(point)
            if name in self._untried:
                return self._proposed(point, trial)
            self._finish(trial, self._heard[name])  # it repeats itself: it hears the same again
        # Else the next that shares its recipe with the best so far.
        best = min(self._heard, key=lambda name: (self._heard[name].excess > 0, self._heard[name].cost))
        recipe = best.partition(" · ")[0]
        rest = self._untried.values()
        point = next((each for each in rest if each.recipe.name == recipe), next(iter(rest)))
        return self._proposed(point, self._asked(point))

    def _proposed(self, point: Point, trial: optuna.Trial) -> Point:
        name = self._space.name(point)
        self._untried.pop(name, None)
        self._trials[name], self._pending[name] = trial, point
        return point

    def _asked(self, point: Point) -> optuna.Trial:
        """A trial of this very point, of which the sampler draws nothing."""
        self._study.enqueue_trial(self._space.parameters(point))
        trial = self._study.ask()
        self._space.suggested(trial)
        return trial

    def _finish(self, trial: optuna.Trial, verdict: Verdict) -> None:
        trial.set_constraint("goals", verdict.excess)
        self._study.tell(trial, [verdict.cost, verdict.drop])


def _study(seed: int) -> optuna.Study:
    import optuna  # noqa: PLC0415 - the `optimize` extra

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        # `multivariate` and `group` are experimental in name; they are years old, and what a tree of settings needs.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=True)
    return optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
