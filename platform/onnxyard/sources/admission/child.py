"""The child that looks at files. Run by `onnxyard.sources.admission.admitting`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.runtimes.disposable_child import Job
from onnxyard.sources.admission.examining import MEMORY_BYTES, examine

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
        job.allow_seconds(BASE_SECONDS + count // _SECOND_BYTES)

    return phase, size


def main() -> None:
    """Look at each file of the task, and say what was found: one document per file."""
    job = Job.receive()
    job.begin()
    phase, size = begin(job)
    for name in job.task["files"]:
        seen = examine(Path(name), job.task["sha256"], phase, size)
        job.say(
            {
                "refusals": [asdict(refusal) for refusal in seen.refusals],
                "digest": seen.digest,
                "data_files": list(seen.data_files),
            }
        )
    job.end()


if __name__ == "__main__":
    main()
