"""Is the opset the one that was asked for?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import WRONG_OPSET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding


def probe(case: Case) -> Iterator[Finding]:
    """Compare the file's opset with the one that was asked for."""
    asked = case.subject.asked.opset
    have = next((entry.version for entry in case.proto.opset_import if entry.domain in {"", "ai.onnx"}), None)
    if asked is not None and have != asked:
        yield WRONG_OPSET.found(f"Opset {asked} was asked for; the graph has {have}.")
