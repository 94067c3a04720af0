"""The search's order: every recipe once, then settings where they pay; and it ends."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from onnxyard.errors import GateFailedError, InvalidRequestError
from onnxyard.lifecycle.artifact import Artifact, ArtifactFile
from onnxyard.lifecycle.candidate import Candidate, Latency, Outcome, Ratio
from onnxyard.stages.optimize import search as search_module
from onnxyard.stages.optimize.goals import Goals
from onnxyard.stages.optimize.journal import Journal
from onnxyard.stages.optimize.makers import Made
from onnxyard.stages.optimize.recipes.recipe import Recipe
from onnxyard.stages.optimize.search import Search
from onnxyard.stages.optimize.space import Space, Way
from onnxyard.stages.optimize.tried import Tried

GOALS = Goals("p50", "accuracy", 0.01, 0.95, None, None, None)


def recipe(name: str, simplicity: int, precision: str = "fp32") -> Recipe:
    return Recipe(name, name, (), precision, ("onnxruntime",), simplicity)


FP32, SLIM, INT8 = recipe("fp32", 0), recipe("slim", 1), recipe("int8", 3, "int8")


def way(**changed) -> Way:
    given = {
        "label": "onnxruntime:CPUExecutionProvider",
        "runtime": "onnxruntime",
        "provider": "CPUExecutionProvider",
        "recipes": (FP32, SLIM, INT8),
        "threads": (2, 1),
        "options": {"arena": ("on", "off"), "spinning": ("on", "off")},
        "numeric": frozenset(),
        "emulated": False,
    }
    return Way(**{**given, **changed})


OTHER = way(
    label="openvino:CPU",
    runtime="openvino",
    provider="CPU",
    recipes=(FP32, INT8),
    options={"precision": ("f32", "bf16")},
    numeric=frozenset({"precision"}),
)


class Bazaar:
    """Stands for examiner and makers: costs come from a function of the point."""

    def __init__(self, space, cost, *, drop=lambda _point: 0.0, goals=GOALS):
        self.subject = SimpleNamespace(
            space=space, goals=goals, seed=7, inputs={}, weights={1: 1.0}, share=50.0, name="cpu"
        )
        self.tried, self.examined, self.skipped, self.made = [], [], [], []
        self._cost, self._drop = cost, drop

    def make(self, recipes, *, limit_s):
        assert limit_s > 0
        self.made += recipes
        return {name: Made(None, failure="") for name in recipes}

    def begin(self, _made):
        return self._kept(self.subject.space.baseline)

    def examine(self, point, _made, *, until):
        assert until > 0
        self.examined.append(self.subject.space.name(point))
        return self._kept(point)

    def skip(self, point):
        self.skipped.append(self.subject.space.name(point))

    def _kept(self, point):
        p50 = self._cost(point)
        name = self.subject.space.name(point)
        candidate = Candidate(name, point.recipe.name, "cpu", point.setup, Outcome.FAILED, note="it crashed")
        if p50 is not None:
            ratio = Ratio(p50 / 10, p50 / 10.1, p50 / 9.9)
            candidate = replace(
                candidate,
                outcome=Outcome.MEASURED,
                note="",
                quality=0.9,
                drop_high=self._drop(point),
                cost=p50,
                ratio=ratio,
                latencies=(Latency(1, p50, p50, p50, p50, p50, 10, ratio),),
                artifact=Artifact((ArtifactFile("model.onnx", "0" * 64, 10),)),
            )
        tried = Tried(point, candidate, None if p50 is None else Path("model.onnx"), {1: (1.0,)})
        self.tried.append(tried)
        return tried


def searched(bazaar, tmp_path, *, workers=1, budget_s=30.0, told=None):
    heard = told if told is not None else []
    return Search(
        bazaar,
        bazaar,
        Journal(tmp_path / "journal.jsonl"),
        budget_s=budget_s,
        repeats=10,
        workers=workers,
        progress=lambda step, metrics: heard.append((step, metrics)),
    ).run()


@pytest.fixture(autouse=True)
def without_finals(monkeypatch):
    monkeypatch.setattr(Search, "_finals", lambda *_: None)


def space(*ways) -> Space:
    return Space(ways or (way(),), FP32)


def test_the_space_counts_every_setting_once():
    names = [space(way(), OTHER).name(point) for point in space(way(), OTHER).all_points()]
    assert len(names) == len(set(names)) == 3 * 2 * 2 * 2 + 2 * 2 * 2
    assert "fp32" in names
    assert "int8 · arena=off threads=1" not in names
    assert "int8 · threads=1 arena=off" in names
    assert "int8 · openvino precision=bf16" in names


def test_a_points_parameters_are_what_gives_it_again():
    import optuna  # noqa: PLC0415 - one test needs it

    whole = space(way(), OTHER)
    for point in whole.all_points():
        again = whole.suggested(optuna.trial.FixedTrial(whole.parameters(point)))
        assert again == point


def test_a_setup_that_rounds_is_of_lower_precision():
    whole = space(way(), OTHER)
    assert {point.precision for point in whole.all_points() if point.setup.options.get("precision") == "bf16"} == {
        "bf16",
        "int8",
    }


def test_every_recipe_is_met_in_every_way_before_settings_are_varied(tmp_path):
    bazaar = Bazaar(space(way(), OTHER), lambda point: 10.0 if point.recipe is FP32 else 20.0)
    searched(bazaar, tmp_path)
    assert bazaar.examined[:5] == [
        "fp32 · openvino",
        "fp32 · openvino precision=bf16",
        "int8",
        "int8 · openvino",
        "slim",
    ]


def test_settings_that_pay_are_found(tmp_path):
    def cost(point):
        told = point.setup.options
        return (10, 9, 4)[(FP32, SLIM, INT8).index(point.recipe)] * (0.5 if told.get("spinning") == "off" else 1.0)

    found = searched(Bazaar(space(), cost), tmp_path)
    assert found.chosen.candidate.recipe == "int8"
    assert found.chosen.candidate.setup.options["spinning"] == "off"
    assert found.chosen.candidate.chosen
    assert [each.name for each in found.candidates if each.chosen] == [found.chosen.candidate.name]


def test_the_same_seed_and_figures_give_the_same_order(tmp_path):
    def cost(point):
        return 10.0 - len(point.setup.options) - point.recipe.simplicity

    orders = []
    for turn in range(2):
        bazaar = Bazaar(space(way(), OTHER), cost)
        searched(bazaar, tmp_path / str(turn))
        orders.append(bazaar.examined)
    assert orders[0] == orders[1]


def test_it_ends_when_nothing_gets_better(tmp_path):
    bazaar = Bazaar(space(way(options={f"o{at}": ("a", "b", "c") for at in range(6)})), lambda _: 10.0)
    searched(bazaar, tmp_path)
    assert len(bazaar.examined) <= 2 + search_module.PATIENCE + 1


def test_a_small_space_is_searched_whole_and_no_point_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(search_module, "PATIENCE", 1000)
    bazaar = Bazaar(space(way(), OTHER), lambda point: 10.0 - len(point.setup.options))
    found = searched(bazaar, tmp_path)
    assert len(bazaar.examined) == len(set(bazaar.examined)) == 24 + 8 - 1
    assert len(found.candidates) == 32


def test_a_candidate_that_crashes_is_an_outcome_and_the_search_goes_on(tmp_path):
    bazaar = Bazaar(space(), lambda point: None if point.recipe is SLIM else 10.0 - point.recipe.simplicity)
    found = searched(bazaar, tmp_path)
    crashed = [each for each in found.candidates if each.recipe == "slim"]
    assert crashed
    assert {(each.outcome, each.note) for each in crashed} == {(Outcome.FAILED, "it crashed")}
    assert found.chosen.candidate.recipe == "int8"


def test_a_recipe_that_cannot_be_made_is_tried_once(tmp_path):
    bazaar = Bazaar(space(way(), OTHER), lambda point: None if point.recipe is INT8 else 10.0)
    searched(bazaar, tmp_path)
    assert [name for name in bazaar.examined if name.startswith("int8")] == ["int8"]


def test_a_precision_that_this_machine_lacks_is_tried_once(tmp_path):
    class Lacking(Bazaar):
        def _kept(self, point):
            kept = super()._kept(point)
            if point.setup.options.get("precision") == "bf16":
                failed = replace(kept.candidate, outcome=Outcome.FAILED, ratio=None)
                self.tried[-1] = kept = replace(kept, candidate=failed)
            return kept

    bazaar = Lacking(space(way(), OTHER), lambda point: 10.0 - len(point.setup.options))
    searched(bazaar, tmp_path)
    assert len([name for name in bazaar.examined if "bf16" in name]) == 1


def test_what_is_far_behind_is_not_varied(tmp_path):
    bazaar = Bazaar(space(), lambda point: 40.0 if point.recipe is INT8 else 10.0 - len(point.setup.options))
    searched(bazaar, tmp_path)
    assert [name for name in bazaar.examined if name.startswith("int8")] == ["int8"]
    assert len(bazaar.examined) > 3


def test_candidates_that_lose_too_much_quality_are_not_chosen(tmp_path):
    bazaar = Bazaar(space(), lambda p: 10.0 - 2 * p.recipe.simplicity, drop=lambda p: 0.2 if p.recipe is INT8 else 0.0)
    assert searched(bazaar, tmp_path).chosen.candidate.recipe == "slim"


def test_goals_that_nobody_meets(tmp_path):
    bazaar = Bazaar(space(), lambda _: 10.0, goals=replace(GOALS, latency_ms=1.0))
    with pytest.raises(GateFailedError, match="the one that binds is latency_ms"):
        searched(bazaar, tmp_path)


def test_recipes_are_made_as_many_at_a_time_as_there_are_makers(tmp_path):
    made = []

    class Counted(Bazaar):
        def make(self, recipes, *, limit_s):
            made.append(list(recipes))
            return super().make(recipes, limit_s=limit_s)

    searched(Counted(space(way()), lambda _: 10.0), tmp_path, workers=2)
    assert made == [["fp32"], ["int8", "slim"]]


def test_a_budget_that_the_baseline_alone_uses_up(tmp_path, monkeypatch):
    ticks = itertools.count(0, 100)
    monkeypatch.setattr(search_module, "working_seconds", lambda: float(next(ticks)))
    with pytest.raises(InvalidRequestError, match=r"budget_s = 30 is too small") as caught:
        searched(Bazaar(space(), lambda _: 10.0), tmp_path)
    assert "at least 500" in caught.value.remedy


def test_no_time_left_ends_the_exploring_and_not_the_search(tmp_path, monkeypatch):
    clock = iter([*([0.0] * 4), *([1000.0] * 1000)])
    monkeypatch.setattr(search_module, "working_seconds", lambda: next(clock))
    bazaar = Bazaar(space(), lambda p: 10.0 - p.recipe.simplicity)
    found = searched(bazaar, tmp_path)
    assert len(found.candidates) < 4
    assert found.chosen is not None
    assert bazaar.skipped == ["slim"]  # a recipe that was not reached is told, too


def test_progress_tells_the_best_and_what_is_left(tmp_path):
    told = []
    searched(Bazaar(space(), lambda p: 10.0 - 2 * p.recipe.simplicity), tmp_path, told=told)
    steps = [step for step, _ in told]
    assert steps == sorted(steps)
    assert told[1][1]["best ratio"] == pytest.approx(0.4)
    assert told[0][1]["left"] > told[1][1]["left"]
    assert 0 < told[-1][1]["seconds left"] <= 30


def test_a_killed_search_goes_on_where_it_was(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"x")
    whole = space()
    digest = Artifact.of_folder(tmp_path).digest
    bazaar = Bazaar(whole, lambda _: 10.0)
    tried = bazaar.examine(whole.point(0, SLIM, {}), None, until=1.0)
    tried = replace(tried, candidate=replace(tried.candidate, artifact=Artifact.of_folder(tmp_path)))
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write(tried)
    with (tmp_path / "journal.jsonl").open("a") as torn:
        torn.write('{"candidate": {"name": "in')
    again = Journal(tmp_path / "journal.jsonl")
    made = Made(file, facts={"did": "something"})
    found = again.find(tried.point, "slim", made, digest)
    assert found.candidate == replace(tried.candidate, facts={"did": "something"})
    assert found.medians == {1: (1.0,)}
    assert again.find(tried.point, "slim", made, "another") is None
    again.close()
    assert Journal(tmp_path / "journal.jsonl").find(tried.point, "slim", made, digest) is None
