"""Recipes made: in order, once, between the steps, and told as they are where they fail."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from onnxyard.errors import MissingExtraError, StorageFullError, UnsupportedModelError, UserCodeError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.processing.composing import parts_of
from onnxyard.runtimes.compiled_form import CompiledForm
from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize import making
from onnxyard.stages.optimize.making import make
from onnxyard.stages.optimize.passes.transformation import Materials, Transformed
from onnxyard.stages.optimize.recipes.catalogue import RECIPES
from onnxyard.stages.optimize.recipes.graph import GRAPH
from onnxyard.stages.optimize.recipes.recipe import Recipe
from onnxyard.stages.optimize.shelf import Shelf
from optimizable import SAMPLES, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

BY_NAME = {sample.name: sample for sample in SAMPLES}
CALLS: list[str] = []
"""Which planted passes worked, in order."""


@dataclass(frozen=True)
class Scaled:
    """Multiplies the last weight; looks at the materials where it is told to."""

    factor: float = 2.0
    calibrates: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002
        CALLS.append(f"scaled {self.factor:g}")
        model = onnx.load(source)
        weight = model.graph.initializer[-1]
        scaled = numpy_helper.to_array(weight) * np.float32(self.factor)
        weight.CopyFrom(numpy_helper.from_array(scaled, weight.name))
        save_model(model, folder / "model.onnx")
        return Transformed(folder / "model.onnx", changed=self.factor != 1, facts={f"by {self.factor:g}": "scaled"})


@dataclass(frozen=True)
class Looking:
    """Takes note of what it is given."""

    seen: ClassVar[list[dict[str, np.ndarray]]] = []
    scores: ClassVar[list[float]] = []
    calibrates: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ()

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        CALLS.append("looking")
        self.seen[:] = list(materials.calibration())
        self.scores[:] = [materials.score(source)]
        done = Scaled(0.5)(source, folder, materials)
        return Transformed(done.file, changed=True)


@dataclass(frozen=True)
class Raising:
    """Fails."""

    error: str
    calibrates: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()
    errors: ClassVar[dict[str, Exception]] = {
        "assertion": AssertionError("node 7 has\nno parent"),
        "key": KeyError("conv1"),
        "refusal": UnsupportedModelError("There is no matrix product.\nNowhere.", remedy="Leave it out."),
        "memory": MemoryError(),
        "disk": OSError(errno.ENOSPC, "No space left on device", "model.onnx"),
        "user": UserCodeError("metrics raised"),
        "extra": MissingExtraError("It needs nncf.", extra="runtimes"),
    }

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002
        raise self.errors[self.error]


@dataclass(frozen=True)
class Packing:
    """Leaves ONNX: the file's name tells how many nodes it was given."""

    calibrates: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002
        (folder / "model.packed").write_text(str(len(onnx.load(source).graph.node)))
        CompiledForm.of_graph(read_graph(source), folder / "model.packed", tool="packer", nodes=1).write(
            folder / "model.packed"
        )
        return Transformed(folder / "model.packed", changed=True)


@dataclass(frozen=True)
class Renaming:
    """Gives the output another name."""

    calibrates: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002
        model = onnx.load(source)
        model.graph.node.append(helper.make_node("Identity", [model.graph.output[0].name], ["other"]))
        model.graph.output[0].name = "other"
        save_model(model, folder / "model.onnx")
        return Transformed(folder / "model.onnx", changed=True)


@pytest.fixture(autouse=True)
def _nothing_worked_yet():
    CALLS.clear()


def recipe(*passes, name="planted", precision="fp32"):
    return Recipe(name, "a test's own", passes, precision, ("onnxruntime",), 9)


@dataclass
class Making:
    folder: Path
    sample: Sample

    def __post_init__(self):
        self.source = self.sample.write(self.folder / "exported")

    def materials(self) -> Materials:
        return Materials(lambda: (self.sample.inputs(rows) for rows in (2, 3)), self.score, 0.01)

    def score(self, file: Path) -> float:
        return float(sum(values.sum() for values in self.answers(file).values()))

    def answers(self, file: Path, rows: int = 4) -> dict[str, np.ndarray]:
        return OnnxRuntime().load(file, provider="CPUExecutionProvider", threads=1).run(self.sample.inputs(rows))

    def make(self, made: Recipe, materials_digest: str = "0"):
        return make(
            made,
            self.source,
            self.folder / "candidates" / made.name,
            self.materials(),
            shelf=Shelf(self.folder / "shelf"),
            materials_digest=materials_digest,
        )


@pytest.fixture
def bench(tmp_path) -> Callable[[str], Making]:
    return lambda name: Making(tmp_path, BY_NAME[name])


@pytest.mark.parametrize("sample", ["cnn", "encoder", "trees", "strings", "steps"])
@pytest.mark.parametrize("name", [each.name for each in GRAPH])
def test_every_graph_recipe_answers_as_the_exported_model_or_says_why_not(bench, name, sample):
    work = bench(sample)
    expected = {rows: work.answers(work.source, rows) for rows in (1, 5)}
    try:
        made = work.make(RECIPES[name])
    except UnsupportedModelError as error:
        refusal = error.detail
        made = None
    if made is None:
        assert refusal == f"The recipe {name} changed nothing."
        assert name not in {"fp32", "as-exported"}
        return
    assert made.precision == "fp32"
    assert made.portable or name in ORT_ONLY
    for rows, answers in expected.items():
        for output, values in answers.items():
            found = work.answers(made.file, rows)[output]
            if values.dtype == object:
                assert found.tolist() == values.tolist()
            else:
                np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-5)


ORT_ONLY = {each.name for each in GRAPH if each.runtimes != ("onnxruntime", "openvino")}


def test_passes_follow_each_other_and_their_facts_are_collected(bench):
    work = bench("cnn")
    made = work.make(recipe(Scaled(2.0), Scaled(1.0), Scaled(0.25)))
    assert CALLS == ["scaled 2", "scaled 1", "scaled 0.25"]
    assert made.facts == {"by 2": "scaled", "by 1": "scaled", "by 0.25": "scaled"}
    assert made.changed
    assert [path.name for path in made.folder.iterdir()] == ["model.onnx"]
    weight, before = (onnx.load(file).graph.initializer[-1] for file in (made.file, work.source))
    np.testing.assert_array_equal(numpy_helper.to_array(weight), numpy_helper.to_array(before) * np.float32(0.5))


def test_nothing_is_made_twice(bench):
    work = bench("cnn")
    first = work.make(recipe(Scaled(2.0), Scaled(3.0), name="long"))
    second = work.make(recipe(Scaled(2.0), Scaled(5.0), name="other"))
    again = work.make(recipe(Scaled(2.0), Scaled(3.0), name="long"))
    assert CALLS == ["scaled 2", "scaled 3", "scaled 5"]
    assert Artifact.of_folder(first.folder) == Artifact.of_folder(again.folder) != Artifact.of_folder(second.folder)
    assert again.facts == {"by 2": "scaled", "by 3": "scaled"}


def test_other_materials_matter_to_passes_that_look_at_them_alone(bench):
    work = bench("cnn")
    for digest in ("0", "0", "1"):
        work.make(recipe(Scaled(2.0), Looking()), digest)
    assert [call for call in CALLS if call in {"scaled 2", "looking"}] == ["scaled 2", "looking", "looking"]


def test_another_version_of_a_package_makes_anew(bench, monkeypatch):
    work = bench("cnn")
    monkeypatch.setattr(Scaled, "packages", ("onnxruntime",))
    work.make(recipe(Scaled()))
    monkeypatch.setattr(making.metadata, "version", lambda _: "0.1")
    work.make(recipe(Scaled()))
    assert CALLS == ["scaled 2", "scaled 2"]
    assert onnxruntime.__version__ != "0.1"


def test_a_damaged_shelf_heals(bench):
    work = bench("cnn")
    first = work.make(recipe(Scaled()))
    for kept in (work.folder / "shelf").glob("*/content/model/model.onnx"):
        kept.write_bytes(kept.read_bytes()[:-9])
    again = work.make(recipe(Scaled()))
    assert CALLS == ["scaled 2", "scaled 2"]
    assert Artifact.of_folder(first.folder) == Artifact.of_folder(again.folder)


def test_a_recipe_that_changes_nothing_says_so_unless_it_is_the_baseline(bench):
    work = bench("weightless")
    with pytest.raises(UnsupportedModelError, match=r"^The recipe onnxslim changed nothing\.$") as caught:
        work.make(RECIPES["onnxslim"])
    assert caught.value.facts["broke"] is False
    made = [work.make(RECIPES[name]) for name in ("fp32", "as-exported")]
    assert [one.changed for one in made] == [False, False]
    assert {one.file.read_bytes() for one in made} == {work.source.read_bytes()}


def test_sizes_are_told_from_the_exported_graph_to_the_last(bench):
    made = bench("wasteful").make(RECIPES["all-portable"])
    assert made.facts == {"nodes": "5 became 3", "weights": "3 became 2"}


def test_what_the_baseline_changes_too_is_no_change_of_the_recipes_own(bench):
    work = bench("cnn")
    assert work.make(RECIPES["fp32"]).changed
    with pytest.raises(UnsupportedModelError, match="The recipe planted changed nothing"):
        work.make(recipe(*RECIPES["fp32"].passes, Scaled(1.0)))


def test_a_precision_that_the_graph_does_not_show_is_the_recipes(bench):
    work = bench("cnn")
    assert work.make(recipe(Scaled(), precision="int4")).precision == "int4"
    assert work.make(recipe(Scaled(), precision="fp32")).precision == "fp32"


@pytest.mark.parametrize(
    ("planted", "detail", "broke"),
    [
        ("assertion", "AssertionError: node 7 has", True),
        ("key", "KeyError: 'conv1'", True),
        ("memory", "MemoryError: ", True),
        ("refusal", "There is no matrix product.", False),
    ],
)
def test_whatever_a_pass_raises_becomes_one_line(bench, planted, detail, broke):
    with pytest.raises(UnsupportedModelError) as caught:
        bench("cnn").make(recipe(Raising(planted)))
    assert (caught.value.detail, caught.value.facts["broke"]) == (detail.strip(), broke)


def test_a_pass_that_changes_the_interface_failed(bench):
    with pytest.raises(UnsupportedModelError, match=r"^Renaming changed the model's inputs or outputs\.$") as caught:
        bench("cnn").make(recipe(Renaming()))
    assert caught.value.facts["broke"] is True


@pytest.mark.parametrize(
    ("planted", "kind"), [("user", UserCodeError), ("disk", StorageFullError), ("extra", MissingExtraError)]
)
def test_what_is_not_the_passes_doing_goes_through(bench, planted, kind):
    with pytest.raises(kind):
        bench("cnn").make(recipe(Raising(planted)))


def test_a_full_disk_is_told_wherever_it_shows(bench, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "model.onnx")

    work = bench("cnn")
    work.make(RECIPES["fp32"])
    monkeypatch.setattr(making.shutil, "copyfile", full)
    with pytest.raises(StorageFullError):
        work.make(RECIPES["fp32"])


def test_the_baseline_is_the_exported_model_where_it_cannot_be_made(bench):
    work = bench("cnn")
    made = work.make(recipe(Raising("assertion"), name="fp32"))
    assert made.file.read_bytes() == work.source.read_bytes()
    assert made.facts == {"as exported": "AssertionError: node 7 has"}


def test_steps_are_taken_off_and_put_around_the_result(bench):
    work = bench("steps")
    before = parts_of(onnx.load(work.source))
    made = work.make(RECIPES["onnxslim"])
    after = parts_of(onnx.load(made.file))
    assert after.before.graph.node == before.before.graph.node
    assert len(after.core.graph.node) < len(before.core.graph.node)
    for rows in (1, 4):
        for name, values in work.answers(work.source, rows).items():
            np.testing.assert_allclose(work.answers(made.file, rows)[name], values, atol=1e-6)


def test_the_model_between_the_steps_is_calibrated_behind_them_and_scored_between_them(bench):
    work = bench("steps")
    made = work.make(recipe(Looking()))
    mean, std = np.array([1, 2, 3, 4], np.float32), np.float32(2)
    for rows, seen in zip((2, 3), Looking.seen, strict=True):
        raw = work.sample.inputs(rows)["features"]
        np.testing.assert_allclose(seen.pop("preprocess/features"), (raw - mean) / std, atol=1e-6)
        assert seen == {}
    assert Looking.scores == [pytest.approx(work.score(work.source))]
    assert work.score(made.file) != pytest.approx(work.score(work.source))


def test_what_leaves_onnx_is_given_the_whole(bench):
    work = bench("steps")
    nodes = len(onnx.load(work.source).graph.node)
    made = work.make(recipe(Scaled(), Packing()))
    assert made.file.name == "model.packed"
    assert made.file.read_text() == str(nodes)
    assert not made.portable


def test_weights_beside_the_model_come_along(bench):
    work = bench("cnn-external")
    made = work.make(RECIPES["as-exported"])
    assert sorted(path.name for path in made.folder.iterdir()) == ["model.onnx", "weights.bin"]
    onnx.checker.check_model(str(made.file))


def test_domains_of_the_standard_alone_are_portable(bench):
    work = bench("cnn")
    model = onnx.load(work.source)
    assert work.make(RECIPES["as-exported"]).portable
    model.graph.node.append(helper.make_node("Gelu", ["scores"], ["unread"], domain="com.microsoft"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, work.source)
    assert not work.make(RECIPES["as-exported"]).portable
