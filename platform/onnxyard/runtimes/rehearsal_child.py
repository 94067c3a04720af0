"""The child of a rehearsal: answers its task with a report or an error. Run by `onnxyard.runtimes.disposable`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import ArtifactCorruptError, GateFailedError, OnnxyardError, UnsupportedModelError
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.parity.error import compare
from onnxyard.runtimes.compiled_form import precision_of
from onnxyard.runtimes.disposable_child import Job
from onnxyard.runtimes.rehearsal import TOLERANCE, TOLERANCES
from onnxyard.runtimes.runtime import runtime_named
from onnxyard.tensors.files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxyard.ports.runtime import LoadedModel, Runtime

COMPUTED_IN = {"bf16": "bf16", "f16": "fp16"}
"""What a setup's option `precision` makes of a float32 graph."""


def main() -> None:
    """Do the task; say what happened in one JSON document."""
    job = Job.receive()
    setup = Setup(**job.task["setup"])
    try:
        runtime = runtime_named(setup.runtime)
        job.begin()
        answer = _rehearse(job.task, runtime, setup)
    except OnnxyardError as error:
        answer = {
            "error": error.code,
            "detail": error.detail,
            "where": error.where,
            "remedy": error.remedy,
            "facts": error.facts,
        }
    except MemoryError:
        answer = {
            "error": UnsupportedModelError.code,
            "detail": "The model needs more memory than a rehearsal allows.",
            "where": job.task["model_file"],
            "remedy": "",
            "facts": {},
        }
    job.say(answer)
    job.end()


def _rehearse(task: dict[str, object], runtime: Runtime, setup: Setup) -> dict[str, object]:
    model_file = Path(str(task["model_file"]))
    precision = precision_of(model_file)
    if precision == "fp32":
        precision = COMPUTED_IN.get(setup.options.get("precision", ""), precision)
    model = runtime.load(model_file, provider=setup.provider, threads=setup.threads, options=setup.options)
    _check_signature(task["signature"], model, model_file)
    inputs = read_tensors(Path(str(task["inputs"])))
    expected = read_tensors(Path(str(task["expected"])))
    rows, max_error = _replay(model, inputs, expected, TOLERANCES.get(precision, TOLERANCE))
    return {
        "runtime": model.runtime,
        "provider": model.provider,
        "precision": precision,
        "max_error": max_error,
        "rows": rows,
    }


def _check_signature(recorded: object, model: LoadedModel, model_file: Path) -> None:
    if recorded is None:
        return
    wanted = _signature(recorded)
    if _essence(wanted) != _essence(model.signature):
        raise UnsupportedModelError(
            f"The model's signature is not the recorded one: {model.signature} instead of {wanted}.",
            where=str(model_file),
        )


def _essence(signature: Signature) -> list[list[tuple[str, str, tuple[int, ...]]]]:
    """A signature without the names of its free axes, which an optimizer may change: they show as -1."""
    return [
        [(spec.name, spec.dtype, tuple(axis if isinstance(axis, int) else -1 for axis in spec.shape)) for spec in side]
        for side in (signature.inputs, signature.outputs)
    ]


def _signature(document: object) -> Signature:
    assert isinstance(document, dict)  # noqa: S101 - our own parent wrote it
    inputs, outputs = (
        tuple(TensorSpec(spec["name"], spec["dtype"], tuple(spec["shape"])) for spec in document[side])
        for side in ("inputs", "outputs")
    )
    return Signature(inputs, outputs)


def _replay(
    model: LoadedModel, inputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float
) -> tuple[int, float]:
    rows = len(next(iter(expected.values()), ()))
    if not rows:
        raise ArtifactCorruptError("The golden set holds no rows to replay.")
    actual = model.run(inputs)
    if missing := sorted(expected.keys() - actual.keys()):
        raise GateFailedError(f"The model does not give the expected output {missing[0]!r}.")
    worst = 0.0
    for name, wanted in expected.items():
        error = compare({name: wanted}, {name: actual[name]}).max_abs
        largest = float(np.max(np.abs(wanted), initial=0.0)) if wanted.dtype.kind in "fiu" else 0.0
        allowed = tolerance * max(1.0, largest)
        if not error <= allowed:
            raise GateFailedError(
                f"The golden set's replay differs in {name!r} by {error:.4g}; {allowed:.4g} is allowed."
            )
        worst = max(worst, error)
    return rows, worst


if __name__ == "__main__":
    main()
