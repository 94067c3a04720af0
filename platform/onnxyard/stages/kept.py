"""Results that are kept: as text and back, and found again by key with the artifacts they name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import TypeAdapter

from onnxyard.errors import ArtifactCorruptError, NotFoundError
from onnxyard.lifecycle.handover import DevelopResult, ExportResult, OptimizeResult, ValidateResult
from onnxyard.tensors.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.lifecycle.artifact import Artifact
    from onnxyard.ports.artifact_store import ArtifactStore

Result: TypeAlias = DevelopResult | ExportResult | OptimizeResult | ValidateResult
R = TypeVar("R", DevelopResult, ExportResult, OptimizeResult, ValidateResult)

FOLDER_DIGITS = 16
"""Of a candidate's digest, in the name of its workspace folder."""


class KeptResults:
    """Results of stages by their keys, one file each; what they name lies in the artifact store.

    The flow leaves here what it made, so that a command on the same project (`export`, `doctor`, `blame`) need not
    train again; what such a command had to make itself is kept for the next one.
    """

    def __init__(self, folder: Path, store: ArtifactStore) -> None:
        self._folder = folder
        self._store = store

    def find(self, kind: type[R], stage: str, key: str) -> R | None:
        """The result, if it is kept whole: its artifacts are there, byte for byte. None otherwise."""
        try:
            result = load(kind, self._file(stage, key).read_text(encoding="utf-8"))
            for artifact in artifacts(result).values():
                self._store.verify(artifact.digest)
        except (OSError, ValueError, NotFoundError, ArtifactCorruptError):
            return None
        return result

    def keep(self, stage: str, key: str, result: Result) -> None:
        """Keep a result whose artifacts are in the store already. Raises StorageFullError."""
        file = self._file(stage, key)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, dump(result).encode())

    def _file(self, stage: str, key: str) -> Path:
        return self._folder / f"{stage}-{key}.json"


def dump(result: Result) -> str:
    """JSON; NaN stays NaN (a gate may have measured it)."""
    return json.dumps(_adapter(type(result)).dump_python(result, mode="json"), sort_keys=True)


def load(kind: type[R], text: str) -> R:
    """The result again. Raises ValueError (pydantic's is one) for text that is not one of this kind."""
    result: R = _adapter(kind).validate_python(json.loads(text))
    return result


def artifacts(result: Result) -> dict[str, Artifact]:
    """The result's artifacts by the workspace folder that the stage wrote them to."""
    match result:
        case DevelopResult():
            found = {"fitted": result.fitted, "golden_set": result.golden_set}
            return found if result.processing is None else {**found, "processing": result.processing}
        case ExportResult():
            return {"model": result.model, "sidecar": result.sidecar}
        case OptimizeResult():
            return _searched(result)
        case ValidateResult():
            return {"reference": result.reference}


def _searched(result: OptimizeResult) -> dict[str, Artifact]:
    """The chosen models, every other candidate's files, and the report; each digest once."""
    named = [(f"model-{model.target}", model.model) for model in result.models]
    made = (candidate.artifact for candidate in result.candidates)
    named += [(f"candidate-{artifact.digest[:FOLDER_DIGITS]}", artifact) for artifact in made if artifact is not None]
    named.append(("report", result.report))
    found: dict[str, tuple[str, Artifact]] = {}
    for folder, artifact in named:
        found.setdefault(artifact.digest, (folder, artifact))
    return dict(found.values())


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
