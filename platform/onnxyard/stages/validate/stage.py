"""Validate: hold each target's chosen model to the gates, on rows that nobody chose by."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.handover import OptimizedModel, ValidateResult
from onnxyard.measuring.loading import loaded
from onnxyard.parity.batches import compare_at_two_batch_sizes
from onnxyard.parity.bootstrap import Resamples, resample
from onnxyard.parity.error import NOT_COMPARABLE, compare
from onnxyard.project.fingerprint import fingerprint
from onnxyard.project.processing import Processing, load_processing
from onnxyard.runtimes.entry import entry_file
from onnxyard.sources.by_name import source_of
from onnxyard.stages.latency import measure
from onnxyard.stages.scoring import answer, metric_of
from onnxyard.stages.validate import gates, reference
from onnxyard.stages.validate.golden import GoldenSet, read_golden_set

if TYPE_CHECKING:
    from onnxyard.lifecycle.gate import Gate
    from onnxyard.ports.runtime import LoadedModel
    from onnxyard.project.data import Splits
    from onnxyard.project.file import GatesSection
    from onnxyard.project.functions import Functions
    from onnxyard.project.protocols import Report
    from onnxyard.stages.validate.request import ValidateRequest


def run(request: ValidateRequest, workspace: Path, report: Report | None = None) -> ValidateResult:  # noqa: ARG001 - a stage's shape
    """Judge every gate of the project file, for each target, and write the reference. A failed gate is a result.

    Raises:
        InvalidRequestError: the data is not what develop saw, or a gate names a metric that the project does not have.
        UnsupportedModelError: a chosen model does not load on its target.
        ArtifactCorruptError: the golden set or the fitted model cannot be read.
        UserCodeError: the project's own code failed.
    """
    project = request.project
    workspace.mkdir(parents=True, exist_ok=True)
    functions = project.functions()
    splits = functions.data()
    _check_data(splits, project.file.project.missing, request.developed.data_fingerprint)
    golden = read_golden_set(request.golden_set)
    processing = load_processing(request.processing)
    fitted = source_of(project).load(project, request.fitted)
    source = _evidence(fitted, splits, functions, processing, project.file.develop.seed)
    judged: list[Gate] = []
    if request.processing is not None:
        judged.append(_processing_gate(golden, processing, project.file.gates))
    outputs: dict[str, dict[str, np.ndarray]] = {}
    expected: dict[str, dict[str, np.ndarray]] = {}
    for chosen in request.optimized.models:
        file = entry_file(request.models[chosen.target])
        with (
            TemporaryDirectory(dir=workspace, prefix="children-") as scratch,
            loaded(file, chosen.setup, scratch=Path(scratch), home=project.home) as model,
        ):
            expected[chosen.target] = model.run(golden.inputs)
            judged += _golden_gates(request, chosen, model, golden, expected[chosen.target])
            try:
                own = _evidence(model, splits, functions, processing, project.file.develop.seed)
            except UnsupportedModelError as error:
                judged += gates.unanswered_gates(chosen.target, project.file.gates, why=error.detail)
                # The version is rejected and nobody will compare with its reference, but it has one like any other.
                outputs[chosen.target] = source.outputs
            else:
                judged += _test_gates(chosen.target, source.resamples, own.resamples, project.file.gates)
                outputs[chosen.target] = own.outputs
            judged += _cost_gates(request, chosen, model, golden)
    deployed = project.file.deploy.target if project.file.deploy.target in outputs else next(iter(outputs))
    folder = workspace / "reference"
    if folder.exists():
        shutil.rmtree(folder)
    reference.write(
        folder,
        signature=request.developed.signature,
        columns=project.file.project.columns,
        split=splits.test,
        outputs=outputs[deployed],
        processing=processing,
        expected=expected,
    )
    return ValidateResult(tuple(judged), Artifact.of_folder(folder))


@dataclass(frozen=True, slots=True)
class _Evidence:
    """A model's outputs for the test split, and what the project's metrics make of them."""

    outputs: dict[str, np.ndarray]
    resamples: Resamples


def _evidence(model: LoadedModel, splits: Splits, functions: Functions, processing: Processing, seed: int) -> _Evidence:
    answers = answer(model, processing, splits.test)
    return _Evidence(answers.outputs, resample(answers.resampled(functions), rows=answers.rows, seed=seed))


def _check_data(splits: Splits, missing: tuple[str, ...], developed: str) -> None:
    found, _ = fingerprint(splits, missing)
    if found != developed:
        raise InvalidRequestError(
            f"The data is not what the model was developed on: its fingerprint is {found[:12]}, develop saw "
            f"{developed[:12]}.",
            where="data(config)",
            remedy="Make `data` give the same rows each time (seed what is drawn), or run develop again.",
        )


def _processing_gate(golden: GoldenSet, processing: Processing, limits: GatesSection) -> Gate:
    inputs = compare(golden.inputs, processing.before(golden.raw))
    answers = compare(golden.answers, processing.after(golden.outputs))
    return gates.processing_gate(inputs, answers, max_error=limits.max_error, rows=golden.rows)


def _golden_gates(
    request: ValidateRequest,
    chosen: OptimizedModel,
    model: LoadedModel,
    golden: GoldenSet,
    outputs: dict[str, np.ndarray],
) -> list[Gate]:
    limits = request.project.file.gates
    # Texts are equal or infinitely apart. Of a model that rounds on purpose they are decisions, as the flips gate sees.
    exact = chosen.precision == "fp32"
    compared = [name for name, values in golden.outputs.items() if exact or values.dtype.kind not in "OUST"]

    def numbers(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: tensors[name] for name in compared}

    wanted = numbers(golden.outputs)
    try:
        reports = compare_at_two_batch_sizes(lambda inputs: numbers(model.run(inputs)), golden.inputs, wanted)
    except (UnsupportedModelError, InvalidRequestError):  # all rows at once it runs: it cannot take one alone
        reports = (compare(wanted, numbers(outputs)), NOT_COMPARABLE)
    return [
        gates.parity_gate(
            chosen.target,
            exported=request.exported.max_error,
            chosen=reports,
            precision=chosen.precision,
            max_error=limits.max_error,
            rows=golden.rows,
        ),
        gates.flips_gate(
            chosen.target, source=golden.outputs, chosen=outputs, max_flips=limits.max_flips, rows=golden.rows
        ),
    ]


def _test_gates(target: str, source: Resamples, chosen: Resamples, limits: GatesSection) -> list[Gate]:
    judged = []
    for metric, at_least in limits.quality.items():
        metric_of(chosen.observed, metric, where="[gates.quality]")
        estimate = chosen.estimate(metric, confidence=limits.confidence)
        judged.append(gates.quality_gate(target, metric, estimate, at_least=at_least, confidence=limits.confidence))
    for metric, at_most in limits.max_drop.items():
        metric_of(chosen.observed, metric, where="[gates.max_drop]")
        estimate = source.drop_to(chosen, metric, confidence=limits.confidence)
        judged.append(gates.drop_gate(target, metric, estimate, at_most=at_most, confidence=limits.confidence))
    return judged


def _cost_gates(request: ValidateRequest, chosen: OptimizedModel, model: LoadedModel, golden: GoldenSet) -> list[Gate]:
    project = request.project.file
    section = project.targets[chosen.target]
    judged = []
    if project.gates.p99_ms is not None:
        rows = np.arange(section.batch_size) % golden.rows
        inputs = {name: values[rows] for name, values in golden.inputs.items()}
        try:
            timed = measure({"chosen": model}, inputs, repeats=project.optimize.repeats, seed=project.develop.seed)
            p99_ms, why = timed["chosen"].p99_ms, ""
        except (UnsupportedModelError, InvalidRequestError) as error:
            p99_ms, why = gates.FAR, error.detail
        judged.append(
            gates.latency_gate(
                chosen.target,
                p99_ms=p99_ms,
                at_most=project.gates.p99_ms,
                calls=project.optimize.repeats,
                batch_size=section.batch_size,
                why=why,
            )
        )
    if project.gates.size_bytes is not None:
        judged.append(
            gates.size_gate(chosen.target, size_bytes=chosen.model.size_bytes, at_most=project.gates.size_bytes)
        )
    return judged
