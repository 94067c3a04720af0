"""A folder that keeps artifacts: files by sha256, manifests by digest.

```
blobs/ab/ab12...        a file's bytes
manifests/ab/ab34...    an artifact's manifest, written after all its files
quarantine/             what was found corrupt, each with a .json that says why
staging/                what is being written; a dead process's leftovers are swept by the next put
```
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING

from onnxyard.artifacts.manifest import is_digest, parse_manifest
from onnxyard.artifacts.staging import Staging, storage_errors, sync_folder
from onnxyard.errors import ArtifactCorruptError, ConflictError, NotFoundError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.digest import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.lifecycle.artifact import ArtifactFile

_BLOCK = 1 << 20


class LocalArtifactStore:
    """The port `ArtifactStore` in a local folder; threads and processes may share it.

    Args:
        root: The folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, folder: Path) -> Artifact:
        """See the port. A file that is there already is read again, so that putting heals what had gone bad."""
        artifact = Artifact.of_folder(folder)
        with storage_errors(self._root), Staging(self._root / "staging") as staging:
            for file in artifact.files:
                self._keep(folder / file.path, file, staging)
            self._keep_manifest(artifact, staging)
        return artifact

    def manifest(self, digest: str) -> Artifact:
        path = self._manifest(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise self._unknown(digest) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise self._refuse(digest, "manifest", "its bytes are not those of its digest")
        return parse_manifest(content)

    def verify(self, digest: str) -> Artifact:
        artifact = self.manifest(digest)
        for file in artifact.files:
            blob = self._blob(file.sha256)
            if not blob.is_file():
                raise self._refuse(digest, file.path, "it is missing")
            found = file_digest(blob)
            if found != file.sha256:
                raise self._refuse(digest, file.path, f"its sha256 is {found}", spoiled=blob)
        return artifact

    def fetch(self, digest: str, into: Path) -> Artifact:
        artifact = self.manifest(digest)
        with storage_errors(into), Staging(into) as staging:
            copies = [(file, self._copy_out(digest, file, staging)) for file in artifact.files]
            placed: list[Path] = []
            try:
                for file, copy in copies:
                    target = into / file.path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    copy.replace(target)
                    placed.append(target)
                    sync_folder(target.parent)
            except BaseException:
                for target in placed:
                    target.unlink(missing_ok=True)
                raise
        return artifact

    def _keep(self, source: Path, file: ArtifactFile, staging: Staging) -> None:
        blob = self._blob(file.sha256)
        if blob.is_file():
            found = file_digest(blob)
            if found == file.sha256:
                return
            self._quarantine(blob, f"its bytes have the sha256 {found}")
        copy = staging.path()
        if _copy(source, copy) != file.sha256:
            raise ConflictError(
                "The file changed while it was being put into the artifact store.",
                where=str(source),
                remedy="Repeat when nothing writes to it.",
            )
        _publish(copy, blob)

    def _keep_manifest(self, artifact: Artifact, staging: Staging) -> None:
        path = self._manifest(artifact.digest)
        content = artifact.manifest()
        with contextlib.suppress(FileNotFoundError):
            if path.read_bytes() == content:
                return
            self._quarantine(path, "the manifest's bytes are not those of its digest")
        copy = staging.path()
        with copy.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        _publish(copy, path)

    def _copy_out(self, digest: str, file: ArtifactFile, staging: Staging) -> Path:
        copy, blob = staging.path(), self._blob(file.sha256)
        try:
            found = _copy(blob, copy)
        except FileNotFoundError:
            raise self._refuse(digest, file.path, "it is missing") from None
        if found != file.sha256:
            raise self._refuse(digest, file.path, f"its sha256 is {found}", spoiled=blob)
        copy.chmod(0o644)
        return copy

    def _refuse(self, digest: str, what: str, reason: str, *, spoiled: Path | None = None) -> ArtifactCorruptError:
        """Move what is spoiled aside, and the manifest with it, so that the artifact is there no more."""
        moved = [self._quarantine(path, reason) for path in (spoiled, self._manifest(digest)) if path is not None]
        aside = "It is quarantined." if all(moved) else "It could not be moved aside: the store cannot be written."
        return ArtifactCorruptError(
            f"Artifact {digest[:12]} is corrupt: {what}: {reason}. {aside}",
            where=str(self._root / "quarantine"),
            remedy="Run the project again: what is missing is made and stored anew.",
            digest=digest,
            file=what,
        )

    def _quarantine(self, path: Path, reason: str) -> bool:
        """Move aside and keep for the inspector; whoever comes second finds it done. False where it cannot be moved."""
        folder = self._root / "quarantine"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            number = 1
            while (kept := folder / f"{path.name}.{number}").exists():
                number += 1
            path.rename(kept)
            note = {"was": path.relative_to(self._root).as_posix(), "reason": reason}
            kept.with_name(f"{kept.name}.json").write_text(json.dumps(note, indent=2) + "\n")
        except FileNotFoundError:
            return True
        except (
            OSError
        ):  # a store mounted read-only, or a full disk: every fetch verifies, so it is refused all the same
            return False
        return True

    def _unknown(self, digest: str) -> NotFoundError:
        if is_digest(digest) and (self._root / "quarantine" / f"{digest}.1").exists():
            return NotFoundError(
                f"Artifact {digest[:12]} was found corrupt and is quarantined.",
                where=str(self._root / "quarantine"),
                remedy="Run the project again: what is missing is made and stored anew.",
                digest=digest,
            )
        return NotFoundError(f"There is no artifact {digest[:12]}.", where=str(self._root), digest=digest)

    def _blob(self, sha256: str) -> Path:
        return self._root / "blobs" / sha256[:2] / sha256

    def _manifest(self, digest: str) -> Path:
        if not is_digest(digest):  # it becomes a path below
            raise self._unknown(digest)
        return self._root / "manifests" / digest[:2] / digest


def _copy(source: Path, target: Path) -> str:
    """Copy a file's bytes to the disk itself; the sha256 of what was copied."""
    sha = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(_BLOCK):
            sha.update(block)
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
    return sha.hexdigest()


def _publish(copy: Path, path: Path) -> None:
    """Give a finished, synced file its name; from then on it is only read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    copy.chmod(0o444)
    copy.replace(path)
    sync_folder(path.parent)
