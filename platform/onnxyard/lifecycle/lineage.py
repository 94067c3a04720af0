"""Where a version came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lineage:
    """The source side of a passport.

    Attributes:
        framework: As `torch 2.13.0` or `onnx 1.23.2`.
        source_digest: sha256 over the project's Python files and project file.
        data_fingerprint: sha256 over every split's arrays.
        git_commit: The project's commit, with `+dirty` behind it where the tree had changes; None outside git.
        stage_keys: For each stage the request digest under which its result is reused.
    """

    framework: str
    source_digest: str
    data_fingerprint: str
    git_commit: str | None
    stage_keys: tuple[tuple[str, str], ...] = ()
