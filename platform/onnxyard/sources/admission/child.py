"""The child that looks at files. Run by `onnxyard.sources.admission.admitting`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.runtimes.disposable_child import Job
from onnxyard.sources.admission.examining import MEMORY_BYTES, Examined, examine
from onnxyard.sources.admission.opening import try_on
from onnxyard.sources.admission.refusal import Refusal
from onnxyard.tensors.files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

BASE_SECONDS = 3
_SECOND_BYTES = 25_000_000
"""A large model gets a second of processor time per 25 MB on top."""


def begin(job: Job) -> tuple[Callable[[str], None], Callable[[int], None]]:
    """What `examine` reports to: the parent is told each phase, and the limits follow the size."""

    def phase(words: str) -> None:
        job.say({"phase": words})

    def size(count: int) -> None:
        job.allow_bytes(MEMORY_BYTES + 4 * count)
        job.allow_seconds(_seconds(count))

    return phase, size


def main() -> None:
    """Look at each file of the task, and say what was found: one document per file."""
    job = Job.receive()
    job.begin()
    phase, size = begin(job)
    for name in job.task["files"]:
        seen = examine(Path(name), job.task["sha256"], phase, size)
        ran = _run(Path(name), seen, job) if not seen.refusals else []
        job.say(
            {
                "refusals": [asdict(refusal) for refusal in seen.refusals],
                "digest": seen.digest,
                "data_files": list(seen.data_files),
                "ran": ran,
            }
        )
    job.end()


def _run(file: Path, seen: Examined, job: Job) -> list[int]:
    """Run the file on the task's inputs, each with the processor time that opening it had; which ones it takes.

    What it does not take is no reason to keep it away: where they are real, the stage that gives them says it better.
    """
    session, called, enough = seen.session, job.task["called"], job.task["enough"]
    ran: list[int] = []
    for number, folder in enumerate(job.task["inputs"]):
        if session is None or len(ran) == enough:
            break
        job.say({"phase": f"running it on {called}"})
        job.allow_seconds(_seconds(sum((file.parent / name).stat().st_size for name in (file.name, *seen.data_files))))
        answer = try_on(session, read_tensors(Path(folder)), called)
        if isinstance(answer, Refusal):
            seen.refusals.append(answer)
            break
        if answer is not None:
            ran.append(number)
    return ran


def _seconds(size: int) -> int:
    """Processor time for a model of so many bytes."""
    return BASE_SECONDS + size // _SECOND_BYTES


if __name__ == "__main__":
    main()
