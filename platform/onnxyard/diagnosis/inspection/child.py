"""The child that inspects one file. Run by `onnxyard.diagnosis.inspection.inspecting`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.diagnosis.inspection import interface, levels, nodes, requirements, rows, weights
from onnxyard.diagnosis.inspection.subject import Subject
from onnxyard.runtimes.disposable_child import Job
from onnxyard.sources.admission.child import begin
from onnxyard.sources.admission.examining import examine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.lifecycle.finding import Finding

_SECONDS = 20
_SECOND_BYTES = 20_000_000


def main() -> None:
    """Inspect the file of the task: first whether it may be opened, then one document per finding."""
    job = Job.receive()
    job.begin()
    phase, size = begin(job)
    file = Path(job.task["file"])
    seen = examine(file, job.task["sha256"], phase, size)
    job.say({"refusals": [asdict(refusal) for refusal in seen.refusals], "digest": seen.digest})
    if seen.model is not None and seen.opener is not None and not seen.refusals:
        whole = sum((file.parent / name).stat().st_size for name in (file.name, *seen.data_files))
        job.allow_seconds(_SECONDS + whole // _SECOND_BYTES)
        for words, findings in _questions(Subject(seen.model, seen.opener, seen.answer), job.task["ceiling"]):
            phase(words)
            for finding in findings:
                job.say({"finding": asdict(finding)})
    job.end()


def _questions(subject: Subject, ceiling: str | None) -> Iterator[tuple[str, Iterator[Finding]]]:
    """What is asked, the cheapest first: a part that is given up takes none of those before it along."""
    yield "reading what it takes and gives", interface.other_than_tensors(subject)
    yield "reading what it takes and gives", interface.fixed_batch(subject)
    yield "reading what it needs", requirements.releases(subject, ceiling)
    yield "reading what it needs", requirements.runtime_bound(subject)
    yield "reading its nodes", nodes.training_mode(subject)
    yield "reading its nodes", nodes.unseeded_randomness(subject)
    yield "reading its nodes", nodes.dead_nodes(subject)
    yield "reading its weights", weights.dead_weights(subject)
    yield "reading its weights", weights.examine_values(subject)
    yield "comparing levels of optimization", levels.differing_levels(subject)
    yield "comparing rows of a batch", rows.batch_dependence(subject)
    yield "reading what it takes and gives", interface.unnamed_axes(subject)
    yield "reading its nodes", nodes.foreign_notes(subject)


if __name__ == "__main__":
    main()
