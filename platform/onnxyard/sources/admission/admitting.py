"""Asking, from a process that must stay whole, whether a model file may be opened in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, NotFoundError, UnsupportedModelError
from onnxyard.runtimes.disposable import Ended, Ending, Limits, run_disposable
from onnxyard.sources.admission.laid_out import Tensors, laid_out
from onnxyard.sources.admission.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits(memory_bytes=2 << 30, cpu_seconds=3, wall_seconds=120)
"""At the start; the child raises them for a large file. The clock is generous, so that a busy machine accuses nobody:
a model that never ends uses up its processor time."""

_RUN_SECONDS = 10.0
"""On the clock, for each run on inputs that were given."""

_CORRUPT = frozenset({"corrupt-file", "digest-differs"})


@dataclass(frozen=True, slots=True)
class Admitted:
    """A file that may be opened.

    Attributes:
        digest: What pins it: its sha256 (64 hex digits); with data files, one over all their names and digests.
        data_files: Names of the files beside it that hold its weights.
        ran: Which of the inputs that were given it takes, by position.
    """

    digest: str
    data_files: tuple[str, ...]
    ran: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """What a file is going to be run on by a process that must stay whole: the child runs it on the very same first.

    What made-up inputs do not show, as a loop that is endless for one value alone, these do.

    Attributes:
        inputs: Sets of inputs, one for each run; `laid_out.rows_by_two` cuts rows into them.
        called: What to call them, as `the project's first rows`.
        enough: After how many that the file takes the rest is left out; None runs all.
    """

    inputs: Sequence[Tensors]
    called: str
    enough: int | None = None


_NO_TRIAL = Trial((), "")


def admit(file: Path, *, sha256: str | None = None, trial: Trial = _NO_TRIAL) -> Admitted:
    """Look at a file in a disposable child, down to a run on made-up inputs, and on those it is meant for.

    Args:
        file: An ONNX file, or something that somebody takes for one.
        sha256: What its digest must be; None where nobody said.
        trial: What else to run it on; inputs that it does not take are no reason to keep it away.

    Raises:
        ArtifactCorruptError: it is cut short or damaged, or its digest is another.
        UnsupportedModelError: it is no ONNX model, ONNX Runtime does not run it, or it asks for more than it may.
        NotFoundError: there is no such file.
        InvalidRequestError: this is no plain file, or it cannot be read.
    """
    (seen,) = look_at([file], sha256=sha256, trial=trial)
    if isinstance(seen, Admitted):
        return seen
    raise as_error(seen, file)


def look_at(
    files: Sequence[Path], *, sha256: str | None = None, trial: Trial = _NO_TRIAL
) -> list[Admitted | tuple[Refusal, ...]]:
    """As `admit`, of many files in as few children as they leave whole: what is known of each, in their order.

    Raises:
        NotFoundError, InvalidRequestError: one of them is no plain file that can be read.
    """
    for file in files:
        check_plain(file)
    results: list[Admitted | tuple[Refusal, ...]] = []
    limits = replace(LIMITS, wall_seconds=LIMITS.wall_seconds + _RUN_SECONDS * len(trial.inputs))
    with laid_out(trial.inputs) as inputs:
        task = {"sha256": sha256, "inputs": inputs, "called": trial.called, "enough": trial.enough}
        while len(results) < len(files):
            waiting = [os.fspath(file.absolute()) for file in files[len(results) :]]
            ended = run_disposable("onnxyard.sources.admission.child", {**task, "files": waiting}, limits)
            results += [_seen(document) for document in ended.documents if "refusals" in document]
            if ended.ending is not Ending.DONE:
                results.append((broke(ended),))
    return results


def as_error(refusals: Sequence[Refusal], file: Path) -> ArtifactCorruptError | UnsupportedModelError:
    """The first refusal as an error; the others' sentences are in `facts["also"]`."""
    first, *others = refusals
    error = ArtifactCorruptError if first.code in _CORRUPT else UnsupportedModelError
    more = f" And {len(others)} more." if others else ""
    facts: dict[str, Any] = {"finding": first.code} | ({"also": [one.what for one in others]} if others else {})
    return error(first.what + more, where=first.source or str(file), remedy=first.remedy, **facts)


def check_plain(file: Path) -> None:
    """A pipe or a device would never end.

    Raises:
        NotFoundError, InvalidRequestError: it is missing, no plain file, or may not be read.
    """
    try:
        kind = file.stat().st_mode
    except FileNotFoundError:
        raise NotFoundError("There is no such file.", where=str(file)) from None
    except OSError as error:
        raise InvalidRequestError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error
    if stat.S_ISDIR(kind) and (file / "saved_model.pb").is_file():
        raise UnsupportedModelError(
            "This is no ONNX file but a TensorFlow SavedModel.",
            where=str(file),
            remedy='Make a project with [project] framework = "keras" whose train or model gives the model.',
        )
    if not stat.S_ISREG(kind):
        raise InvalidRequestError(
            "This is no plain file.", where=str(file), remedy="Give an .onnx file, or the folder of a project."
        )
    if not os.access(file, os.R_OK):
        raise InvalidRequestError("The file may not be read.", where=str(file))


def broke(ended: Ended) -> Refusal:
    """What it means that the child did not come to its own end."""
    phases = [document["phase"] for document in ended.documents if "phase" in document]
    doing = phases[-1] if phases else "opening it"
    if ended.ending in {Ending.BUSY, Ending.LATE}:
        return Refusal(
            "resource-bomb",
            f"The file was given up: while {doing}, {ended.words}.",
            "Look for a loop that does not end, or lengths out of all proportion.",
        )
    return Refusal(
        "crashes-runtime",
        f"The file breaks the process that opens it: while {doing}, {ended.words}.",
        "Do not open it elsewhere; export or download the model again.",
    )


def _seen(document: dict[str, Any]) -> Admitted | tuple[Refusal, ...]:
    if document["refusals"]:
        return tuple(Refusal(**refusal) for refusal in document["refusals"])
    return Admitted(document["digest"], tuple(document["data_files"]), tuple(document["ran"]))
