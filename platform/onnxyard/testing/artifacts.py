"""An artifact store in memory."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from tempfile import mkdtemp

from onnxyard.errors import ArtifactCorruptError, NotFoundError
from onnxyard.lifecycle.artifact import Artifact


class InMemoryArtifactStore:
    """The port `ArtifactStore`.

    Attributes:
        blobs: Bytes by their sha256; a test may spoil them.
        manifests: Artifacts by digest.
        quarantined: What was found corrupt: sha256 to the bytes found.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, Artifact] = {}
        self.quarantined: dict[str, bytes] = {}

    def put(self, folder: Path) -> Artifact:
        artifact = Artifact.of_folder(folder)
        self.blobs.update({file.sha256: (folder / file.path).read_bytes() for file in artifact.files})
        self.manifests[artifact.digest] = artifact
        return artifact

    def manifest(self, digest: str) -> Artifact:
        if digest not in self.manifests:
            raise NotFoundError(f"There is no artifact {digest[:12]}.", digest=digest)
        return self.manifests[digest]

    def verify(self, digest: str) -> Artifact:
        artifact = self.manifest(digest)
        for file in artifact.files:
            content = self.blobs.get(file.sha256)
            if content is None or hashlib.sha256(content).hexdigest() != file.sha256:
                del self.manifests[digest]
                if content is not None:
                    self.quarantined[file.sha256] = self.blobs.pop(file.sha256)
                raise ArtifactCorruptError(f"Artifact {digest[:12]} is corrupt: {file.path}.", digest=digest)
        return artifact

    def fetch(self, digest: str, into: Path) -> Artifact:
        artifact = self.verify(digest)
        into.mkdir(parents=True, exist_ok=True)
        staging = Path(mkdtemp(prefix=".staging-", dir=into))
        try:
            for number, file in enumerate(artifact.files):
                (staging / str(number)).write_bytes(self.blobs[file.sha256])
            for number, file in enumerate(artifact.files):
                target = into / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                (staging / str(number)).replace(target)
        finally:
            shutil.rmtree(staging)
        return artifact
