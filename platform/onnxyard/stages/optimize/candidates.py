"""Candidates of one target: made by recipes, scored on the validation split, timed side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import OnnxyardError, UnsupportedModelError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.candidate import Candidate, choose
from onnxyard.runtimes.runtime import runtime_named
from onnxyard.stages.latency import measure
from onnxyard.stages.optimize.recipes import BASELINE, RECIPES
from onnxyard.stages.scoring import answer, metric_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxyard.ports.runtime import LoadedModel
    from onnxyard.project.file import OptimizeSection, TargetSection
    from onnxyard.project.functions import Functions
    from onnxyard.project.processing import Processing
    from onnxyard.project.split import Split

CALIBRATION_ROWS_PER_BATCH = 32
CALIBRATION_BATCHES = 32
"""At most 1024 rows: ranges settle long before, and the quantizer keeps every intermediate tensor in memory."""


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one recipe.

    Attributes:
        recipe: Its name.
        file: The candidate's model; None where it could not be made.
        note: Why not; empty otherwise.
    """

    recipe: str
    file: Path | None
    note: str = ""


def make_all(
    recipes: tuple[str, ...], source: Path, folder: Path, calibration: Split, processing: Processing
) -> tuple[Made, ...]:
    """Make every recipe's candidate below `folder`; the baseline comes first, asked for or not.

    A recipe that fails is an outcome, not an error: its note says why. The baseline falls back to the exported model.
    """

    def batches() -> Iterator[dict[str, np.ndarray]]:
        rows = islice(calibration.batches(CALIBRATION_ROWS_PER_BATCH), CALIBRATION_BATCHES)
        return (processing.before(batch.inputs) for batch in rows)

    made = []
    for name in dict.fromkeys((BASELINE, *recipes)):
        own = folder / name
        own.mkdir(parents=True)
        try:
            made.append(Made(name, RECIPES[name](source, own, batches)))
        except UnsupportedModelError as error:
            made.append(_unmade(name, source, error.detail))
        except (OnnxyardError, OSError):
            raise  # the user's `preprocess`, a full disk: not the recipe's doing
        except Exception as error:  # noqa: BLE001 - the quantizers raise anything (AssertionError, KeyError, ORT's own)
            lines = str(error).strip().splitlines() or [""]
            made.append(_unmade(name, source, f"{type(error).__name__}: {lines[0]}"[:300]))
    return tuple(made)


def _unmade(name: str, source: Path, why: str) -> Made:
    if name == BASELINE:
        return Made(name, source, f"the exported graph as it is: {why}")
    return Made(name, None, why)


def compete(
    made: tuple[Made, ...],
    *,
    target: str,
    section: TargetSection,
    goals: OptimizeSection,
    validation: Split,
    functions: Functions,
    processing: Processing,
    seed: int,
) -> tuple[Candidate, ...]:
    """Load, score and time the candidates on one target, and mark the one that goes on.

    Raises:
        UnsupportedModelError: the baseline itself does not run on this target.
        InvalidRequestError: the project has no metric of that name, or no such runtime.
        UserCodeError: the project's own code failed.
    """
    runtime = runtime_named(section.runtime)
    entries: list[Candidate] = []
    models: dict[str, LoadedModel] = {}
    for one in made:
        entry = Candidate(one.recipe, target, None, None, None, None, note=one.note)
        if one.file is not None:
            entry = replace(entry, size_bytes=Artifact.of_folder(one.file.parent).size_bytes)
            try:
                model = runtime.load(one.file, provider=section.provider, threads=section.threads)
                scores = answer(model, processing, validation).scores(functions)
            except UnsupportedModelError as error:
                if one.recipe == BASELINE:
                    raise
                entry = replace(entry, note=f"does not run on {target}: {error.detail}")
            else:
                entry = replace(entry, quality=metric_of(scores, goals.metric, where="[optimize] metric"))
                models[one.recipe] = model
        entries.append(entry)
    inputs = first_rows(validation, processing, section.batch_size)
    timed = measure(models, inputs, repeats=goals.repeats, seed=seed)
    measured = tuple(
        replace(entry, p50_ms=timed[entry.recipe].p50_ms, p99_ms=timed[entry.recipe].p99_ms)
        if entry.recipe in timed
        else entry
        for entry in entries
    )
    return choose(measured, baseline=BASELINE, max_drop=goals.max_drop)


def first_rows(split: Split, processing: Processing, rows: int) -> Mapping[str, np.ndarray]:
    """`rows` model inputs of a split; its rows are repeated where it has fewer."""
    inputs = processing.before(split.take(rows).inputs)
    return {name: np.resize(array, (rows, *array.shape[1:])) for name, array in inputs.items()}
