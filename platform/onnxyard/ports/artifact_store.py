"""A content-addressed store of artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.lifecycle.artifact import Artifact


class ArtifactStore(Protocol):
    """Files by sha256, artifacts by their manifest's digest. `put` is idempotent; nothing is ever half there."""

    def put(self, folder: Path) -> Artifact:
        """Keep every file of `folder` and the manifest, which is written last.

        Raises:
            InvalidRequestError: the folder is empty or holds a link.
            StorageFullError: no space is left; nothing that can be found was written.
        """
        ...

    def manifest(self, digest: str) -> Artifact:
        """The manifest of an artifact, without reading its files.

        Raises:
            NotFoundError: no such artifact, or it was quarantined.
            ArtifactCorruptError: the manifest's bytes are not those of `digest`.
        """
        ...

    def verify(self, digest: str) -> Artifact:
        """Read every file and compare its sha256.

        Raises:
            NotFoundError: no such artifact.
            ArtifactCorruptError: a file is missing or its bytes differ; the file is quarantined (moved aside, kept
                for the inspector) so that it can be neither served nor mistaken for the real one again.
        """
        ...

    def fetch(self, digest: str, into: Path) -> Artifact:
        """Copy an artifact into the folder `into` (made if missing), verifying each file as it is copied.

        On any error `into` is left without a file of this artifact. Raises as `verify`, and StorageFullError.
        """
        ...
