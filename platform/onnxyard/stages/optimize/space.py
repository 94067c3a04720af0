"""What can be tried on a target: every recipe, run in every way, with every setting that may matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError
from onnxyard.lifecycle.setup import Setup
from onnxyard.runtimes.availability import require
from onnxyard.runtimes.machine import usable_cores
from onnxyard.runtimes.runtime import is_emulated, numeric_of, options_of
from onnxyard.stages.optimize.recipes.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import optuna

    from onnxyard.project.file import OptimizeSection, TargetSection

PRECISION_OF = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}
"""What the runtimes' option `precision` means, in a project file's words."""


@dataclass(frozen=True, slots=True)
class Point:
    """One candidate to be: a recipe and a setup.

    Attributes:
        recipe: The recipe.
        setup: The setup.
        way: Which of the target's runtimes, in the file's order.
        precision: The recipe's; where that leaves float32, the setup's.
    """

    recipe: Recipe
    setup: Setup
    way: int
    precision: str

    @property
    def complexity(self) -> tuple[int, int, int, int]:
        """What a tie is decided by: the smaller one is simpler to explain, to reproduce and to keep."""
        return (self.recipe.simplicity, self.way, len(self.setup.options), self.setup.threads)


@dataclass(frozen=True, slots=True)
class Way:
    """One runtime of a target, with all it can be set to.

    Attributes:
        label: As `onnxruntime:CPUExecutionProvider`.
        runtime: The runtime's name.
        provider: Its provider.
        recipes: Those whose result it reads.
        threads: Numbers of threads to try.
        options: By option, the values to try, the default first.
        numeric: The options that change answers.
        emulated: Whether it imitates another machine's arithmetic: its latency says nothing.
    """

    label: str
    runtime: str
    provider: str
    recipes: tuple[Recipe, ...]
    threads: tuple[int, ...]
    options: Mapping[str, tuple[str, ...]]
    numeric: frozenset[str]
    emulated: bool


class Space:
    """All points of one target."""

    def __init__(self, ways: tuple[Way, ...], baseline: Recipe) -> None:
        self.ways = ways
        self.baseline = self.point(0, baseline, {})

    @property
    def calibrates(self) -> bool:
        """Whether any recipe looks at calibration rows."""
        return any(each.calibrates for way in self.ways for recipe in way.recipes for each in recipe.passes)

    def point(self, at: int, recipe: Recipe, chosen: Mapping[str, str], threads: int | None = None) -> Point:
        """The point of a way and a recipe; what is not chosen stays at its default."""
        way = self.ways[at]
        options = {name: value for name, value in sorted(chosen.items()) if value != way.options[name][0]}
        precision = PRECISION_OF.get({**_defaults(way), **chosen}.get("precision", ""), "fp32")
        return Point(
            recipe,
            Setup(way.runtime, way.provider, way.threads[0] if threads is None else threads, options),
            at,
            precision if recipe.precision == "fp32" else recipe.precision,
        )

    def name(self, point: Point) -> str:
        """The candidate's name: its recipe, and whatever of its setup is not the target's first choice."""
        first, setup = self.baseline.setup, point.setup
        told = []
        if (setup.runtime, setup.provider) != (first.runtime, first.provider):
            told.append(setup.runtime if setup.provider.startswith("CPU") else f"{setup.runtime} {setup.provider}")
        if setup.threads != first.threads:
            told.append(f"threads={setup.threads}")
        told += [f"{name}={value}" for name, value in sorted(setup.options.items())]
        return f"{point.recipe.name} · {' '.join(told)}" if told else point.recipe.name

    def numeric(self, point: Point) -> frozenset[str]:
        """The options of the point's way that change answers."""
        return self.ways[point.way].numeric

    def first_points(self) -> Iterator[Point]:
        """Every recipe in every way, with the default settings; the baseline comes before all.

        The simplest of each precision come first, then the second ones, and so on: where time runs out, every kind was
        tried.
        """
        points = [self.point(at, recipe, {}) for at, way in enumerate(self.ways) for recipe in way.recipes]
        # A runtime whose default precision is not the only allowed one is met in each of them.
        for at, way in enumerate(self.ways):
            lower = way.options.get("precision", ())[1:]
            points += [self.point(at, recipe, {"precision": value}) for recipe in way.recipes[:1] for value in lower]
        yield from sorted(points, key=lambda point: (point != self.baseline, self._turn(point), point.complexity))

    def _turn(self, point: Point) -> int:
        """How many recipes of the same precision are simpler."""
        return sum(
            each.precision == point.recipe.precision and each.simplicity < point.recipe.simplicity
            for each in self.ways[point.way].recipes
        )

    def all_points(self) -> Iterator[Point]:
        """Every point there is, way by way."""
        for at, way in enumerate(self.ways):
            for recipe in way.recipes:
                for threads in way.threads:
                    yield from (self.point(at, recipe, chosen, threads) for chosen in _products(way.options))

    def suggested(self, trial: optuna.trial.BaseTrial) -> Point:
        """The point that a sampler proposes."""
        at = trial.suggest_categorical("way", list(range(len(self.ways))))
        way = self.ways[at]
        name = trial.suggest_categorical(f"recipe of {way.label}", [recipe.name for recipe in way.recipes])
        threads = trial.suggest_categorical(f"threads of {way.label}", list(way.threads))
        chosen = {
            option: trial.suggest_categorical(f"{option} of {way.label}", list(values))
            for option, values in way.options.items()
        }
        return self.point(at, next(recipe for recipe in way.recipes if recipe.name == name), chosen, threads)

    def parameters(self, point: Point) -> dict[str, int | str]:
        """What a sampler would have to propose for a point."""
        way = self.ways[point.way]
        return {
            "way": point.way,
            f"recipe of {way.label}": point.recipe.name,
            f"threads of {way.label}": point.setup.threads,
            **{
                f"{name} of {way.label}": point.setup.options.get(name, values[0])
                for name, values in way.options.items()
            },
        }


def space_of(
    section: TargetSection, goals: OptimizeSection, catalogue: Mapping[str, Recipe], *, baseline: str
) -> Space:
    """All that may be tried on a target.

    Args:
        section: The target.
        goals: `recipes` names what is tried; without it, all that fit and bring their own tools.
        catalogue: Recipes by name.
        baseline: The recipe that the others are compared with, where the target's first runtime reads it.

    Raises:
        InvalidRequestError: no recipe gives anything that this target takes.
        MissingExtraError: a runtime of the target is not installed.
        UnsupportedModelError: this machine cannot run one of its providers.
    """
    named = goals.recipes
    wanted = [catalogue[name] for name in named] if named else [each for each in catalogue.values() if not each.asked]
    ways = []
    for at, (runtime, provider) in enumerate(section.ways):
        require(runtime, provider)
        fitting = [each for each in wanted if _fits(each, runtime, provider) and each.precision in section.precision]
        if at == 0 and _fits(catalogue[baseline], runtime, provider) and catalogue[baseline] not in fitting:
            fitting.append(catalogue[baseline])
        if fitting:
            ordered = tuple(sorted(fitting, key=lambda each: each.simplicity))
            ways.append(_way(runtime, provider, ordered, section, tune=goals.tune))
    if not ways:
        raise InvalidRequestError(
            "No recipe gives anything that this target takes.",
            where="[targets] runtime, precision",
            remedy="Allow another precision or runtime.",
        )
    # A runtime that reads no ONNX has a baseline of its own: what is simplest of all it reads.
    return Space(tuple(ways), ways[0].recipes[0])


def check_named(spaces: Iterable[Space], named: tuple[str, ...] | None, catalogue: Mapping[str, Recipe]) -> None:
    """Raise InvalidRequestError for a recipe that the project names and that fits none of its targets."""
    offered = {recipe.name for space in spaces for way in space.ways for recipe in way.recipes}
    lost = [name for name in named or () if name not in offered]
    if lost:
        recipe = catalogue[lost[0]]
        raise InvalidRequestError(
            f"The recipe {recipe.name!r} gives nothing that a target takes: its precision is {recipe.precision}, and "
            f"it is for {', '.join(recipe.runtimes)}.",
            where="[optimize] recipes",
            remedy="Allow its precision, add such a runtime to a target, or leave the recipe out.",
        )


def _fits(recipe: Recipe, runtime: str, provider: str) -> bool:
    return runtime in recipe.runtimes or f"{runtime}:{provider}" in recipe.runtimes


def _way(runtime: str, provider: str, recipes: tuple[Recipe, ...], section: TargetSection, *, tune: bool) -> Way:
    options = {name: given for name, given in options_of(runtime, provider).items() if tune or name == "precision"}
    if "precision" in options:
        allowed = [each for each in options["precision"] if PRECISION_OF[each] in section.precision]
        options["precision"] = tuple(dict.fromkeys((options["precision"][0], *allowed)))
    return Way(
        f"{runtime}:{provider}",
        runtime,
        provider,
        recipes,
        (section.threads,) if section.threads else _thread_counts(usable_cores())[: None if tune else 1],
        options,
        numeric_of(runtime, provider),
        is_emulated(runtime, provider),
    )


def _thread_counts(cores: int) -> tuple[int, ...]:
    """All cores first, then halves down to one."""
    counts = [cores]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return tuple(counts)


def _defaults(way: Way) -> dict[str, str]:
    return {name: values[0] for name, values in way.options.items()}


def _products(options: Mapping[str, tuple[str, ...]]) -> Iterator[dict[str, str]]:
    if not options:
        yield {}
        return
    (name, values), *rest = options.items()
    for value in values:
        for other in _products(dict(rest)):
            yield {name: value, **other}
