"""What only a folder can suffer: a full disk, a killed process, a read-only mount, two writers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from onnxyard.artifacts.local import LocalArtifactStore
from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, NotFoundError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.digest import file_digest

if TYPE_CHECKING:
    from pathlib import Path

SMALL, LARGE = b"a graph", bytes(range(256)) * 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "a-model.onnx").write_bytes(SMALL)
    (folder / "weights.bin").write_bytes(LARGE)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def child(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def whole(root: Path) -> bool:
    """Whether every file that has its final name holds what the name says."""
    named = [*root.glob("blobs/*/*"), *root.glob("manifests/*/*")]
    return all(file_digest(path) == path.name for path in named)


FULL = """
import resource, sys
from pathlib import Path
from onnxyard.artifacts.local import LocalArtifactStore
from onnxyard.errors import StorageFullError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = LocalArtifactStore(Path(sys.argv[1]))
try:
    store.put(Path(sys.argv[2])) if sys.argv[3] == "put" else store.fetch(sys.argv[3], Path(sys.argv[2]))
except StorageFullError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_leaves_nothing_half_put(root: Path, folder: Path) -> None:
    told = child(FULL, root, folder, "put")
    assert "No space is left" in told.stdout, told.stderr
    assert whole(root)
    assert list(root.glob("manifests/*/*")) == []
    assert list((root / "staging").iterdir()) == []
    with pytest.raises(NotFoundError):
        LocalArtifactStore(root).manifest(Artifact.of_folder(folder).digest)
    artifact = LocalArtifactStore(root).put(folder)
    assert LocalArtifactStore(root).verify(artifact.digest) == artifact


def test_a_disk_that_takes_no_more_leaves_nothing_half_fetched(root: Path, folder: Path, tmp_path: Path) -> None:
    artifact = LocalArtifactStore(root).put(folder)
    told = child(FULL, root, tmp_path / "out", artifact.digest)
    assert "No space is left" in told.stdout, told.stderr
    assert list((tmp_path / "out").iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from onnxyard.artifacts.local import LocalArtifactStore
left, sync = int(sys.argv[3]), os.fsync
def fsync(handle):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(handle)
os.fsync = fsync
LocalArtifactStore(Path(sys.argv[1])).put(Path(sys.argv[2]))
"""


def test_kill_9_at_any_sync_of_a_put_leaves_nothing_half_there(root: Path, folder: Path) -> None:
    digest = Artifact.of_folder(folder).digest
    deaths = 0
    while child(KILLED, root, folder, deaths + 1).returncode == -signal.SIGKILL:
        deaths += 1
        assert whole(root)
        found = list(root.glob("manifests/*/*"))
        if found:  # killed behind the last rename: then all of it is there
            assert LocalArtifactStore(root).verify(digest).digest == digest
            found[0].unlink()
        for blob in root.glob("blobs/*/*"):
            blob.unlink()
    assert deaths == 6  # two files and the manifest, each synced itself and in its folder
    assert LocalArtifactStore(root).verify(digest).digest == digest
    assert list((root / "staging").iterdir()) == []  # the dead ones' leftovers were swept


def test_what_is_quarantined_is_kept_with_its_reason(root: Path, folder: Path) -> None:
    store = LocalArtifactStore(root)
    artifact = store.put(folder)
    sha256 = artifact.files[0].sha256
    blob = root / "blobs" / sha256[:2] / sha256
    blob.chmod(0o644)
    blob.write_bytes(b"A graph")
    with pytest.raises(ArtifactCorruptError, match="It is quarantined"):
        store.verify(artifact.digest)
    assert (root / "quarantine" / f"{sha256}.1").read_bytes() == b"A graph"
    note = json.loads((root / "quarantine" / f"{sha256}.1.json").read_text())
    assert note["was"] == f"blobs/{sha256[:2]}/{sha256}"
    assert file_digest(root / "quarantine" / f"{sha256}.1") in note["reason"]
    with pytest.raises(NotFoundError, match="quarantined"):
        store.manifest(artifact.digest)


def test_a_spoiled_manifest_is_quarantined(root: Path, folder: Path) -> None:
    store = LocalArtifactStore(root)
    digest = store.put(folder).digest
    manifest = root / "manifests" / digest[:2] / digest
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes().replace(b"weights.bin", b"weights.bim"))
    with pytest.raises(ArtifactCorruptError):
        store.manifest(digest)
    with pytest.raises(NotFoundError):
        store.manifest(digest)
    assert store.put(folder).digest == digest
    assert store.verify(digest).digest == digest


def test_a_corrupt_file_that_cannot_be_moved_aside_is_refused_all_the_same(root: Path, folder: Path) -> None:
    store = LocalArtifactStore(root)
    artifact = store.put(folder)
    sha256 = artifact.files[0].sha256
    blob = root / "blobs" / sha256[:2] / sha256
    blob.chmod(0o644)
    blob.write_bytes(b"A graph")
    (root / "quarantine").write_text("a file where the folder should be")
    for _ in range(2):
        with pytest.raises(ArtifactCorruptError, match="could not be moved aside"):
            store.verify(artifact.digest)


def test_a_folder_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InvalidRequestError, match="cannot be written"):
        LocalArtifactStore(tmp_path / "file" / "store").put(folder)


def test_many_may_put_the_same_at_once(root: Path, folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        digests = {a.digest for a in pool.map(lambda _: LocalArtifactStore(root).put(folder), range(16))}
    assert len(digests) == 1
    LocalArtifactStore(root).verify(digests.pop())
    assert len(list(root.glob("blobs/*/*"))) == 2
    assert not (root / "quarantine").exists()
