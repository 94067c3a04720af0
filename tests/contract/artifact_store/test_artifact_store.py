"""What every artifact store keeps, in memory or in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from onnxyard.artifacts.local import LocalArtifactStore
from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, NotFoundError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.ports.artifact_store import ArtifactStore
from onnxyard.testing import InMemoryArtifactStore

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Subject:
    store: ArtifactStore
    spoil: Callable[[str], None]
    """Flip one bit of the file with that sha256."""
    lose: Callable[[str], None]


def flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


@pytest.fixture(params=["memory", "local"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    if request.param == "memory":
        memory = InMemoryArtifactStore()

        def spoil_blob(sha256: str) -> None:
            memory.blobs[sha256] = flipped(memory.blobs[sha256])

        return Subject(memory, spoil_blob, memory.blobs.__delitem__)
    root = tmp_path / "store"

    def blob(sha256: str) -> Path:
        return root / "blobs" / sha256[:2] / sha256

    def spoil_file(sha256: str) -> None:
        content = blob(sha256).read_bytes()
        blob(sha256).chmod(0o644)
        blob(sha256).write_bytes(flipped(content))

    return Subject(LocalArtifactStore(root), spoil_file, lambda sha256: blob(sha256).unlink())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"graph")
    (folder / "deep" / "er" / "weights.bin").write_bytes(bytes(range(256)) * 10)
    (folder / "empty").write_bytes(b"")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_is_put_is_fetched(subject: Subject, folder: Path, tmp_path: Path) -> None:
    artifact = subject.store.put(folder)
    assert artifact == Artifact.of_folder(folder)
    assert subject.store.manifest(artifact.digest) == artifact
    assert subject.store.verify(artifact.digest) == artifact
    assert subject.store.fetch(artifact.digest, tmp_path / "new" / "out") == artifact
    assert contents(tmp_path / "new" / "out") == contents(folder)


def test_putting_twice_is_putting_once(subject: Subject, folder: Path) -> None:
    assert subject.store.put(folder) == subject.store.put(folder)


def test_artifacts_share_files(subject: Subject, folder: Path, tmp_path: Path) -> None:
    first = subject.store.put(folder)
    (folder / "model.onnx").write_bytes(b"another graph")
    second = subject.store.put(folder)
    assert first.digest != second.digest
    subject.store.fetch(first.digest, tmp_path / "out")
    assert (tmp_path / "out" / "model.onnx").read_bytes() == b"graph"


def test_an_unknown_artifact_is_not_found(subject: Subject, tmp_path: Path) -> None:
    for digest in ("0" * 64, "../../etc/passwd", ""):
        for ask in (subject.store.manifest, subject.store.verify):
            with pytest.raises(NotFoundError):
                ask(digest)
        with pytest.raises(NotFoundError):
            subject.store.fetch(digest, tmp_path / "out")


def test_nothing_and_links_are_refused(subject: Subject, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(InvalidRequestError):
        subject.store.put(tmp_path / "none")
    (folder / "link").symlink_to(folder / "model.onnx")
    with pytest.raises(InvalidRequestError):
        subject.store.put(folder)


@pytest.mark.parametrize("how", ["spoil", "lose"])
@pytest.mark.parametrize("reader", ["verify", "fetch"])
def test_one_bad_byte_or_a_lost_file_is_refused(
    subject: Subject, folder: Path, tmp_path: Path, how: str, reader: str
) -> None:
    artifact = subject.store.put(folder)
    {"spoil": subject.spoil, "lose": subject.lose}[how](artifact.files[-1].sha256)
    out = tmp_path / "out"
    with pytest.raises(ArtifactCorruptError):
        subject.store.verify(artifact.digest) if reader == "verify" else subject.store.fetch(artifact.digest, out)
    assert not out.exists() or contents(out) == {}
    with pytest.raises(NotFoundError):  # it can neither be served nor mistaken for the real one again
        subject.store.manifest(artifact.digest)


def test_putting_again_heals(subject: Subject, folder: Path, tmp_path: Path) -> None:
    artifact = subject.store.put(folder)
    subject.spoil(artifact.files[-1].sha256)
    with pytest.raises(ArtifactCorruptError):
        subject.store.verify(artifact.digest)
    assert subject.store.put(folder) == artifact
    subject.store.fetch(artifact.digest, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(folder)


def test_putting_heals_what_nobody_had_noticed(subject: Subject, folder: Path) -> None:
    artifact = subject.store.put(folder)
    subject.spoil(artifact.files[-1].sha256)
    subject.store.put(folder)
    assert subject.store.verify(artifact.digest) == artifact


def test_a_spoiled_file_stops_every_artifact_that_holds_it(subject: Subject, folder: Path) -> None:
    first = subject.store.put(folder)
    (folder / "extra").write_bytes(b"more")
    second = subject.store.put(folder)
    subject.spoil(first.files[-1].sha256)
    for artifact in (first, second):
        with pytest.raises(ArtifactCorruptError):
            subject.store.verify(artifact.digest)


def test_a_fetched_copy_is_ones_own(subject: Subject, folder: Path, tmp_path: Path) -> None:
    artifact = subject.store.put(folder)
    subject.store.fetch(artifact.digest, tmp_path / "out")
    (tmp_path / "out" / "model.onnx").write_bytes(b"changed")
    assert subject.store.verify(artifact.digest) == artifact
    subject.store.fetch(artifact.digest, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(folder)
