"""An artifact: one file or many, identified by the digest of their manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError
from onnxyard.lifecycle.digest import canonical_json, digest_of, file_digest

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class ArtifactFile:
    """One file of an artifact.

    Attributes:
        path: Relative POSIX path inside the artifact; never absolute, never with `..`.
        sha256: 64 hex digits of the file's bytes.
        size_bytes: The file's size in bytes.
    """

    path: str
    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        pure = PurePosixPath(self.path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise InvalidRequestError(f"An artifact's file may not be called {self.path!r}.")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest: path, sha256 and size of each file, sorted by path."""

    files: tuple[ArtifactFile, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(sorted(self.files)))

    @property
    def digest(self) -> str:
        """The manifest's sha256 (64 hex digits): the artifact's identity."""
        return digest_of(self._document())

    @property
    def size_bytes(self) -> int:
        """The sum of the files' sizes in bytes."""
        return sum(file.size_bytes for file in self.files)

    def manifest(self) -> bytes:
        """The manifest as canonical JSON; its sha256 is `digest`."""
        return canonical_json(self._document())

    def _document(self) -> list[dict[str, object]]:
        return [{"path": f.path, "sha256": f.sha256, "size_bytes": f.size_bytes} for f in self.files]

    @classmethod
    def of_folder(cls, folder: Path) -> Artifact:
        """Digest every regular file below `folder`.

        Raises:
            InvalidRequestError: the folder holds no file, or a link (what it points to could change unseen).
        """
        files = []
        for path in sorted(folder.rglob("*")):
            if path.is_symlink():
                raise InvalidRequestError("An artifact may not hold a link.", where=str(path))
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                files.append(ArtifactFile(name, file_digest(path), path.stat().st_size))
        if not files:
            raise InvalidRequestError("An artifact needs at least one file.", where=str(folder))
        return cls(tuple(files))
