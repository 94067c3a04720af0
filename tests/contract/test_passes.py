"""One contract, every pass of every recipe: what making, measuring and serving rely on whatever did the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from shutil import copytree, rmtree
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxyard.errors import UnsupportedModelError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.stages.optimize.passes.fingerprint import fingerprint
from onnxyard.stages.optimize.passes.transformation import Materials, Transformed
from onnxyard.stages.optimize.recipes.compiled import COMPILED
from onnxyard.stages.optimize.recipes.graph import GRAPH
from onnxyard.stages.optimize.recipes.precision import PRECISION
from optimizable import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.stages.optimize.passes.transformation import Pass
    from optimizable import Inputs, Sample

TOLERANCES = {"fp32": 1e-5, "fp16": 2e-2, "bf16": 5e-2, "int8": 0.25, "int4": 0.6}
"""Root of the mean squared error over that of the outputs; weights drawn at random suffer more than trained ones."""

ROWS = (1, 5)


def every_pass() -> Iterator[tuple[Pass, float]]:
    """Each pass once, with the smallest error that a recipe of it promises."""
    found: dict[str, tuple[Pass, float]] = {}
    for recipe in (*GRAPH, *PRECISION, *COMPILED):
        for each in recipe.passes:
            # Other runtimes' forms are theirs to answer for: tests/contract/test_compiled_runtimes.py.
            allowed = inf if recipe in COMPILED else TOLERANCES[recipe.precision]
            found[repr(each)] = (each, min(allowed, found.get(repr(each), (each, allowed))[1]))
    yield from found.values()


GRAPH_PASSES = {repr(each) for recipe in GRAPH for each in recipe.passes}
TELLING = {"cnn", "encoder", "trees", "strings"}
"""Samples that slower passes are tried on in every run; the others have their turn with the slow tests."""


def slow(each: Pass, allowed: float, sample: Sample) -> bool:
    return allowed == inf or (repr(each) not in GRAPH_PASSES and sample.name not in TELLING)


CASES = [
    pytest.param(
        each,
        allowed,
        sample,
        id=f"{each}-{sample.name}",
        marks=[pytest.mark.slow] if slow(each, allowed, sample) else [],
    )
    for each, allowed in every_pass()
    for sample in SAMPLES
]


def answered(file: Path, inputs: Inputs) -> dict[str, np.ndarray]:
    return OnnxRuntime().load(file, provider="CPUExecutionProvider", threads=1).run(inputs)


def error(expected: dict[str, np.ndarray], answers: dict[str, np.ndarray]) -> float:
    """The largest over the outputs: relative for numbers, the share that differs for words."""
    worst = 0.0
    for name, values in expected.items():
        if values.dtype == object:
            worst = max(worst, float(np.mean(values != answers[name])))
        else:
            difference = np.sqrt(np.mean(np.square(answers[name] - values)))
            worst = max(worst, float(difference / max(np.sqrt(np.mean(np.square(values))), 1e-6)))
    return worst


def materials(sample: Sample, expected: dict[int, dict[str, np.ndarray]]) -> Materials:
    return Materials(
        calibration=lambda: (sample.inputs(rows) for rows in range(8, 16)),
        score=lambda file: -max(error(expected[rows], answered(file, sample.inputs(rows))) for rows in ROWS),
        max_drop=0.05,
    )


def violations(each: Pass, sample: Sample, folder: Path, allowed: float) -> list[str]:
    """Everything that the pass does to this model and may not; nothing where it refuses it."""
    source = sample.write(folder / "source")
    before = Artifact.of_folder(source.parent)
    expected = {rows: answered(source, sample.inputs(rows)) for rows in ROWS}
    structure = fingerprint(onnx.load(source))
    found = []
    made: list[Transformed] = []
    for number in range(2):
        (folder / str(number)).mkdir()
        try:
            made.append(each(source, folder / str(number), materials(sample, expected)))
        except UnsupportedModelError as refusal:
            found += [] if refusal.detail else ["refuses without a reason"]
    if Artifact.of_folder(source.parent) != before:
        found.append("touches its source")
    if len(made) < 2:
        return [*found, *(["is of two minds"] if made else [])]
    done = made[0]
    # Measured: the same ORT format and the same IREE module come out with some bytes in another order each time.
    if done.file.suffix == ".onnx" and Artifact.of_folder(folder / "0") != Artifact.of_folder(folder / "1"):
        found.append("gives other bytes each time")
    rmtree(source.parent)
    if done.facts and not done.changed:
        found.append("tells of work that it did not do")
    return found if allowed == inf else [*found, *judged(done, sample, structure, expected, allowed)]


def judged(
    done: Transformed, sample: Sample, structure: str, expected: dict[int, dict[str, np.ndarray]], allowed: float
) -> Iterator[str]:
    """What is wrong with an ONNX model whose source is gone."""
    try:
        changed = fingerprint(onnx.load(done.file)) != structure
        worst = max(error(expected[rows], answered(done.file, sample.inputs(rows))) for rows in ROWS)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the folder does not stand alone
        yield f"leaves a model that does not run alone: {failure}"
        return
    if changed is not done.changed:
        yield f"says changed={done.changed}, which is not so"
    if not worst <= allowed:
        yield f"changes answers by {worst:.2g}"


@pytest.mark.parametrize(("each", "allowed", "sample"), CASES)
def test_a_pass_keeps_the_contract(each, allowed, sample, tmp_path):
    assert violations(each, sample, tmp_path, allowed) == []


def test_every_pass_is_among_the_cases():
    assert len(CASES) >= len(SAMPLES) * len({type(each) for each, _ in every_pass()})


@dataclass(frozen=True)
class Planted:
    """A pass that does one thing wrong."""

    wrong: Callable[[Path, Path], Transformed]
    packages: ClassVar[tuple[str, ...]] = ()
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002
        return self.wrong(source, folder)


def copied(source: Path, folder: Path) -> Path:
    copytree(source.parent, folder, dirs_exist_ok=True)
    return folder / source.name


def claims(source: Path, folder: Path) -> Transformed:
    return Transformed(copied(source, folder), changed=True)


def boasts(source: Path, folder: Path) -> Transformed:
    return Transformed(copied(source, folder), changed=False, facts={"quantized": "3 of 3 nodes"})


def breaks(source: Path, folder: Path) -> Transformed:
    model = onnx.load(copied(source, folder))
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.01), weight.name))
    onnx.save_model(model, folder / source.name)
    return Transformed(folder / source.name, changed=True)


def hides(source: Path, folder: Path) -> Transformed:
    made = breaks(source, folder)
    return Transformed(made.file, changed=False)


_NUMBERS = iter(range(1000))


def wavers(source: Path, folder: Path) -> Transformed:
    model = onnx.load(copied(source, folder))
    model.doc_string = f"made as number {next(_NUMBERS)}"
    onnx.save_model(model, folder / source.name)
    return Transformed(folder / source.name, changed=False)


def leans(source: Path, folder: Path) -> Transformed:
    """Its weights stay where the source has them."""
    model = onnx.load(source, load_external_data=False)
    for tensor in model.graph.initializer:
        entry = next(entry for entry in tensor.external_data if entry.key == "location")
        entry.value = f"../source/{entry.value}"
    onnx.save_model(model, folder / source.name)
    return Transformed(folder / source.name, changed=False)


def meddles(source: Path, folder: Path) -> Transformed:
    done = Transformed(copied(source, folder), changed=False)
    (source.parent / "left-over.txt").write_text("scratch")
    return done


@pytest.mark.parametrize(
    ("wrong", "sample", "told"),
    [
        (claims, "cnn", "says changed=True"),
        (boasts, "cnn", "tells of work"),
        (breaks, "cnn", "changes answers"),
        (hides, "cnn", "says changed=False"),
        (wavers, "cnn", "other bytes"),
        (leans, "cnn-external", "does not run alone"),
        (meddles, "cnn", "touches its source"),
    ],
)
def test_the_contract_catches_a_pass_that_breaks_it(wrong, sample, told, tmp_path):
    chosen = next(each for each in SAMPLES if each.name == sample)
    assert any(told in violation for violation in violations(Planted(wrong), chosen, tmp_path, 1e-5))
