"""Inspecting a ready .onnx file from a process that must stay whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from onnxyard.diagnosis.codes import CODES
from onnxyard.diagnosis.file_codes import UNFINISHED_INSPECTION, UNPINNED
from onnxyard.lifecycle.finding import Finding, Severity
from onnxyard.runtimes.disposable import Ended, Ending, run_disposable
from onnxyard.runtimes.releases import release_named
from onnxyard.sources.admission.admitting import LIMITS, broke, check_plain
from onnxyard.sources.admission.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

_ORDER = list(Severity)


def inspect_file(file: Path, *, sha256: str | None = None, ceiling: str | None = None) -> tuple[Finding, ...]:
    """What is wrong with a file, or good to know; the worst first.

    A disposable child with limits on memory and time reads, loads and runs it; a refusal takes less than ten seconds.

    Args:
        file: An ONNX file, or something that somebody takes for one.
        sha256: What its digest must be; without one a note says that it is not pinned, and what it is.
        ceiling: The oldest ONNX Runtime release that must load it, as `1.17`.

    Raises:
        NotFoundError: there is no such file.
        UnsupportedModelError: it is the folder of a TensorFlow SavedModel.
        InvalidRequestError: it is no plain file or cannot be read, or there is no release of that name.
    """
    check_plain(file)
    if ceiling is not None:
        release_named(ceiling)
    task = {"file": os.fspath(file.absolute()), "sha256": sha256, "ceiling": ceiling}
    ended = run_disposable("onnxyard.diagnosis.inspection.child", task, LIMITS)
    admission = next((document for document in ended.documents if "refusals" in document), None)
    if admission is None:
        return (_blocked(broke(ended)),)
    if admission["refusals"]:
        return tuple(_blocked(Refusal(**refusal)) for refusal in admission["refusals"])
    found = [_finding(document["finding"]) for document in ended.documents if "finding" in document]
    if ended.ending is not Ending.DONE:
        found.append(_unfinished(ended))
    if sha256 is None:
        found.append(UNPINNED.found(f"Its digest is stated nowhere; it is {admission['digest']}."))
    return tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity)))


def _blocked(refusal: Refusal) -> Finding:
    return CODES[refusal.code].found(
        refusal.what, module=refusal.module, source=refusal.source, node=refusal.node, remedy=refusal.remedy
    )


def _finding(document: dict[str, Any]) -> Finding:
    return Finding(**document | {"severity": Severity(document["severity"])})


def _unfinished(ended: Ended) -> Finding:
    doing = [document["phase"] for document in ended.documents if "phase" in document][-1]
    return UNFINISHED_INSPECTION.found(f"While {doing}, {ended.words}.")
