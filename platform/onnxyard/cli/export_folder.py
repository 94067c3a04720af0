"""The folder `onnxyard export` leaves: whole or not at all, and nobody else's files are overwritten."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from onnxyard.errors import ConflictError, InvalidRequestError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.digest import canonical_json
from onnxyard.tensors.files import write_bytes

MANIFEST = "export.json"
"""What was exported, and the digest of every file of it: the folder is one artifact."""


@contextmanager
def draft_of(output: Path) -> Iterator[Path]:
    """An empty folder beside `output`; it takes its place at the end, unless something is raised.

    Raises:
        ConflictError: `output` holds something that no earlier export left there.
        InvalidRequestError: it is a file, or cannot be written.
    """
    _check(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(mkdtemp(prefix=f".{output.name}.", suffix=".part", dir=output.parent))
    except OSError as error:
        raise InvalidRequestError(f"This folder cannot be written: {error}", where=str(output)) from error
    try:
        yield scratch / "new"
        _check(output)  # the export took its time
        if output.exists():
            output.rename(scratch / "old")
        (scratch / "new").rename(output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_manifest(folder: Path, document: Mapping[str, object]) -> Artifact:
    """Write what was exported and the digests of its files into the folder; gives them as an artifact."""
    artifact = Artifact.of_folder(folder)
    files = [{"path": file.path, "sha256": file.sha256, "size_bytes": file.size_bytes} for file in artifact.files]
    write_bytes(folder / MANIFEST, canonical_json({**document, "digest": artifact.digest, "files": files}))
    return artifact


def _check(output: Path) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise InvalidRequestError("There is a file of this name.", where=str(output), remedy="Name a folder.")
    there = {path.relative_to(output).as_posix() for path in output.rglob("*") if not path.is_dir()}
    if there - _left_by_us(output):
        raise ConflictError(
            "This folder holds files that no export left there.",
            where=str(output),
            remedy="Name another folder with --output: nothing is overwritten but an earlier export.",
        )


def _left_by_us(output: Path) -> set[str]:
    try:
        document = json.loads((output / MANIFEST).read_bytes())
        return {MANIFEST, *(str(file["path"]) for file in document["files"])}
    except (OSError, ValueError, TypeError, KeyError):  # no manifest of ours
        return set()
