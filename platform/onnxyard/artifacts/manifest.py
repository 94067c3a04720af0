"""Reading a manifest back."""

from __future__ import annotations

import json
import re

from onnxyard.lifecycle.artifact import Artifact, ArtifactFile

_DIGEST = re.compile(r"[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Whether `text` is 64 lower-case hex digits, and so harmless as a file's name."""
    return _DIGEST.fullmatch(text) is not None


def parse_manifest(content: bytes) -> Artifact:
    """The artifact of a manifest whose digest was checked, and which therefore is one that we wrote."""
    return Artifact(tuple(ArtifactFile(**entry) for entry in json.loads(content)))
