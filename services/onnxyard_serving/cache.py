"""A replica's own folder: the artifacts it serves and what it last served, so that it starts without a registry."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from onnxyard.artifacts.staging import storage_errors
from onnxyard.errors import ArtifactCorruptError, ConflictError, InvalidRequestError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard_serving.assignment import Assignment

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.ports.artifact_store import ArtifactStore

STATE = "serving.json"
MAX_REPLICAS = 256
"""Replicas of one home on one machine."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """One endpoint's last good state.

    Attributes:
        assignment: What was served.
        runtime: The version that it was rehearsed with, as `onnxruntime 1.32.0`; by another one it is rehearsed again.
        precision: As the rehearsal read it.
    """

    assignment: Assignment
    runtime: str
    precision: str


class ReplicaCache:
    """A folder held by one living process.

    `artifacts/DIGEST/` holds verified copies, `serving.json` what was served last; it is replaced as a whole.

    Args:
        name: The replica's name.
        folder: The folder, locked by the caller.
        lock: The lock's file descriptor, kept open as long as the replica lives.
    """

    def __init__(self, name: str, folder: Path, lock: int) -> None:
        self.name = name
        self._folder = folder
        self._lock = lock
        self._remembered: dict[str, Remembered] = {}

    @classmethod
    def claim(cls, replicas: Path) -> Self:
        """Take the first folder that no living replica of this machine holds: HOST-1, HOST-2, ...

        So a restarted replica finds its own cache again, whichever port it listens on.

        Raises:
            ConflictError: as many replicas as there may be live already.
            InvalidRequestError, StorageFullError: the folder cannot be written.
        """
        host = socket.gethostname()
        for number in range(1, MAX_REPLICAS + 1):
            name = f"{host}-{number}"
            lock = _try_lock(replicas / name)
            if lock is not None:
                return cls(name, replicas / name, lock)
        raise ConflictError(f"{MAX_REPLICAS} replicas serve this home already.", where=str(replicas))

    def release(self) -> None:
        """Let another process take the folder."""
        os.close(self._lock)

    def artifact(self, digest: str, store: ArtifactStore) -> Path:
        """The verified folder of an artifact, fetched from the store unless a good copy is here.

        Raises:
            NotFoundError, ArtifactCorruptError, StorageFullError: as the store's `fetch`.
        """
        if self._is_whole(digest):
            return self._path(digest)
        draft = self._folder / "artifacts" / f".{digest}.part"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            store.fetch(digest, draft)
            shutil.rmtree(self._path(digest), ignore_errors=True)
            draft.rename(self._path(digest))
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return self._path(digest)

    def own(self, digest: str) -> Path:
        """The verified folder of an artifact that must be here already. Raises ArtifactCorruptError."""
        if not self._is_whole(digest):
            raise ArtifactCorruptError(f"The cached artifact {digest[:12]} is missing or corrupt.")
        return self._path(digest)

    def remember(self, endpoint: Remembered) -> None:
        """Keep as the endpoint's last good state, and forget artifacts that none needs any more.

        Raises StorageFullError; then the state before is still the one that is kept.
        """
        remembered = {**self._remembered, endpoint.assignment.endpoint: endpoint}
        entries = [
            {"assignment": each.assignment.document(), "runtime": each.runtime, "precision": each.precision}
            for each in remembered.values()
        ]
        draft = self._folder / f".{STATE}.part"
        with storage_errors(self._folder):
            with draft.open("w", encoding="utf-8") as file:
                json.dump(entries, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._folder / STATE)
        self._remembered = remembered
        needed = {digest for each in remembered.values() for digest in each.assignment.digests}
        for folder in (self._folder / "artifacts").iterdir():
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def last_good(self) -> tuple[Remembered, ...]:
        """What was served last; empty where nothing was. Raises ArtifactCorruptError for an unreadable state file."""
        path = self._folder / STATE
        try:
            entries: list[dict[str, Any]] = json.loads(path.read_bytes())
            found = [Remembered(Assignment.read(e["assignment"]), e["runtime"], e["precision"]) for e in entries]
        except FileNotFoundError:
            return ()
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactCorruptError(f"The replica's state file is unreadable: {error!r}.", where=str(path)) from None
        self._remembered = {each.assignment.endpoint: each for each in found}
        return tuple(found)

    def _path(self, digest: str) -> Path:
        return self._folder / "artifacts" / digest

    def _is_whole(self, digest: str) -> bool:
        folder = self._path(digest)
        try:
            return folder.is_dir() and Artifact.of_folder(folder).digest == digest
        except (InvalidRequestError, OSError):  # an empty folder, a link, or a disk that fails: not the artifact
            return False


def _try_lock(folder: Path) -> int | None:
    """The descriptor of the folder's lock, now ours; None where another process holds it."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
