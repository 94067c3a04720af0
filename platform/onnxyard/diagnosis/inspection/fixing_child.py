"""The child that mends a file: remedy after remedy, each proven before the next. Run by `fixing`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort

from onnxyard.diagnosis.codes import TRAINING_MODE, UNSUPPORTED_OUTPUT
from onnxyard.diagnosis.inspection.fixes import fix_of, zipmap_labels
from onnxyard.diagnosis.inspection.levels import tolerance_of
from onnxyard.diagnosis.inspection.outputs import Arrays, apart, arrays
from onnxyard.errors import OnnxyardError
from onnxyard.runtimes.disposable_child import Job
from onnxyard.sources.admission.child import begin
from onnxyard.sources.admission.domains import EXTENSIONS, operators_by_domain
from onnxyard.sources.admission.examining import examine
from onnxyard.sources.admission.opening import Opener, made_up, printable_line, run
from onnxyard.sources.saving import EXTERNAL_FROM_BYTES, save_model

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
_DRAWS = 3
_SAME, _STEADY = 1e-6, 1e-4
"""Relative: of the same graph, and of one graph at two batch lengths, whose sums are ordered otherwise."""
_SECONDS = 60


class _NotProvenError(Exception):
    """A remedy that did not leave the answers as they were, or that nothing could be asked about."""


def main() -> None:
    """Mend the file of the task; the result lies at `output` afterwards if any remedy held."""
    job = Job.receive()
    job.begin()
    phase, size = begin(job)
    file, output = Path(job.task["file"]), Path(job.task["output"])
    seen = examine(file, None, phase, size)
    if seen.refusals or seen.opener is None:
        for code in job.task["codes"]:
            job.say({"code": code, "why": " ".join(refusal.what for refusal in seen.refusals)})
        job.end()
    job.allow_bytes(job.task["memory_bytes"])
    job.allow_seconds(_SECONDS)
    current, model = seen.opener, onnx.load(file)
    external = 0 if seen.data_files else EXTERNAL_FROM_BYTES
    for number, code in enumerate(job.task["codes"]):
        phase(f"mending {code}")
        candidate = onnx.ModelProto()
        candidate.CopyFrom(model)
        try:
            fix_of(code, job.task["ceiling"])(candidate)
            opener = _write(candidate, output.parent / str(number) / output.name, external)
            error = _PROOFS.get(code, _same)(current, opener)
        except (_NotProvenError, OnnxyardError) as why:
            job.say({"code": code, "why": str(why)})
            continue
        current, model = opener, candidate
        job.say({"code": code, "error": error, "folder": str(number)})
    job.end()


def _write(model: onnx.ModelProto, file: Path, external: int) -> Opener:
    file.parent.mkdir()
    save_model(model, file, external_from=external)
    return Opener(file, EXTENSIONS in operators_by_domain(model))


def _same(before: Opener, after: Opener) -> float:
    """The largest relative difference on several made-up inputs, not optimized and fully optimized."""
    worst = 0.0
    for level, allowed in ((_PLAIN, _SAME), (ort.GraphOptimizationLevel.ORT_ENABLE_ALL, None)):
        old, new = _open(before, level), _open(after, level)
        limit = allowed if allowed is not None else tolerance_of(onnx.load(after.file, load_external_data=False))
        for inputs in _draws(old):
            wanted, got = arrays(_run(old, inputs)), arrays(_run(new, inputs))
            if wanted.keys() != got.keys():
                raise _NotProvenError("The outputs have other names afterwards.")
            error = max((apart(wanted[name], got[name]) for name in wanted), default=0.0)
            if error > limit:
                raise _NotProvenError(f"The answers differ by {error:.2g} of their largest value afterwards.")
            worst = max(worst, error)
    return worst


def _same_without_maps(before: Opener, after: Opener) -> float:
    """As `_same`, where what was one map per row has become the rows of a tensor."""
    labels = zipmap_labels(onnx.load(before.file, load_external_data=False))
    old, new = _open(before, _PLAIN), _open(after, _PLAIN)
    for inputs in _draws(old):
        wanted, got = _run(old, inputs), _run(new, inputs)
        for name, value in wanted.items():
            if isinstance(value, list):  # a sequence of maps
                rows = [[row[label] for label in labels.get(name, ())] for row in value]
                same = np.array_equal(np.array(rows), arrays(got)[name])
            else:
                same = all(apart(array, arrays(got).get(key)) <= _SAME for key, array in arrays({name: value}).items())
            if not same:
                raise _NotProvenError(f"The output {name!r} holds other numbers afterwards.")
    return 0.0


def _steady(before: Opener, after: Opener) -> float:
    """The largest relative difference between answers that have to be equal.

    Inference gives other answers than training does, so that parity with the old graph is not the question. What makes
    inference is: the same input gets the same answer, and a row the same one alone as in its batch.
    """
    del before
    session = _open(after, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    worst = 0.0
    for inputs in _draws(session):
        first, again = arrays(_run(session, inputs)), arrays(_run(session, inputs))
        worst = max(worst, *(apart(value, again[name]) for name, value in first.items()))
        if all(value.shape and not isinstance(value.shape[0], int) for value in session.get_inputs()):
            alone = arrays(_run(session, {name: array[:1] for name, array in inputs.items()}))
            worst = max(worst, *(apart(value[:1], alone[name]) for name, value in first.items()))
    if worst > _STEADY:
        raise _NotProvenError(f"The answers still move by {worst:.2g} of their largest value.")
    return worst


_PROOFS: dict[str, Callable[[Opener, Opener], float]] = {
    UNSUPPORTED_OUTPUT.name: _same_without_maps,
    TRAINING_MODE.name: _steady,
}


def _draws(session: ort.InferenceSession) -> list[Arrays]:
    """Made-up inputs that the model takes, one per seed."""
    found = []
    for seed in range(_DRAWS):
        for inputs in made_up(session, seed):
            try:
                run(session, inputs)
            except Exception:  # noqa: BLE001, S112 - ONNX Runtime's errors have no common class of their own
                continue
            found.append(inputs)
            break
    if not found:
        raise _NotProvenError("No inputs can be made up for the model, so that nothing can be proven.")
    return found


def _open(opener: Opener, level: ort.GraphOptimizationLevel) -> ort.InferenceSession:
    try:
        return opener.open(level)
    except Exception as error:
        raise _NotProvenError(f"The graph does not load afterwards: {printable_line(str(error))}.") from error


def _run(session: ort.InferenceSession, inputs: Arrays) -> dict[str, object]:
    try:
        return run(session, inputs)
    except Exception as error:
        raise _NotProvenError(f"The graph fails afterwards: {printable_line(str(error))}.") from error


if __name__ == "__main__":
    main()
