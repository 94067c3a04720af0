"""A zoo's manifest, `ONNX_HUB_MANIFEST.json`.

The format is that of the ONNX Model Hub (onnx/docs/Hub.md): a list of entries like

    {"model": "ResNet50", "model_path": "vision/.../resnet50-v1-12.onnx", "onnx_version": "1.7.0", "opset_version": 12,
     "metadata": {"model_sha": "...", "model_bytes": 102442450, "tags": ["vision", "classification"], ...}}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

MANIFEST = "ONNX_HUB_MANIFEST.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ZooModel:
    """One entry of a manifest.

    Attributes:
        name: As `ResNet50`; several entries may share it, one for each opset.
        opset: The default domain's opset; None where the manifest names none.
        path: Relative to the manifest.
        sha256: 64 hex digits; a model without one is not fetched.
        size_bytes: None where the manifest names none.
        tags: As `vision`, `classification`.
    """

    name: str
    opset: int | None
    path: str
    sha256: str
    size_bytes: int | None
    tags: tuple[str, ...]

    @property
    def reference(self) -> str:
        """What a project file calls it."""
        return f"zoo:{self.name}" if self.opset is None else f"zoo:{self.name}@{self.opset}"


def parse(content: bytes, where: str) -> tuple[ZooModel, ...]:
    """The models of a manifest. Entries that name no model or leave the mirror's folder are refused, not skipped.

    Raises:
        ArtifactCorruptError: this is no manifest, or one of its entries is none.
    """
    try:
        entries = json.loads(content)
    except ValueError as error:
        raise ArtifactCorruptError(f"The zoo's manifest is no JSON: {error}.", where=where) from error
    if not isinstance(entries, list):
        raise ArtifactCorruptError("The zoo's manifest is no list of models.", where=where)
    return tuple(_model(entry, number, where) for number, entry in enumerate(entries))


def _model(entry: object, number: int, where: str) -> ZooModel:
    def wrong(what: str) -> ArtifactCorruptError:
        return ArtifactCorruptError(f"Entry {number} of the zoo's manifest {what}.", where=where)

    if not isinstance(entry, dict) or not isinstance(entry.get("metadata", {}), dict):
        raise wrong("is no table")
    name, path, metadata = entry.get("model"), entry.get("model_path"), entry.get("metadata", {})
    if not isinstance(name, str) or not name or not isinstance(path, str) or not path:
        raise wrong("names no model or no path")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path:
        raise wrong(f"has a path that leaves the zoo: {path!r}")
    sha, size, tags = metadata.get("model_sha"), metadata.get("model_bytes"), metadata.get("tags", ())
    opset = entry.get("opset_version")
    return ZooModel(
        name=name,
        opset=opset if isinstance(opset, int) else None,
        path=pure.as_posix(),
        sha256=sha.lower() if isinstance(sha, str) and _SHA256.fullmatch(sha.lower()) else "",
        size_bytes=size if isinstance(size, int) and size >= 0 else None,
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, (list, tuple)) else (),
    )


def choose(models: Iterable[ZooModel], reference: str) -> ZooModel:
    """The model that `zoo:NAME` or `zoo:NAME@OPSET` names; without an opset, the newest. Upper and lower case are one.

    Raises:
        InvalidRequestError: the reference is none.
        NotFoundError: the zoo has no such model, or not at this opset.
    """
    name, at, opset = reference.removeprefix("zoo:").rpartition("@") if "@" in reference else (reference[4:], "", "")
    if not reference.startswith("zoo:") or not name or (at and not opset.isdecimal()):
        raise InvalidRequestError(
            f"{reference!r} names no model of a zoo.", remedy="Write zoo:NAME or zoo:NAME@OPSET, as zoo:ResNet50@12."
        )
    known = list(models)
    named = [model for model in known if model.name.casefold() == name.casefold()]
    if not named:
        close = get_close_matches(name, {model.name for model in known}, n=3, cutoff=0.5)
        raise NotFoundError(
            f"The zoo has no model {name!r}.",
            remedy=f"Did you mean {' or '.join(close)}?" if close else "See: onnxyard zoo list",
        )
    found = [model for model in named if not at or model.opset == int(opset)]
    if not found:
        opsets = sorted({model.opset for model in named if model.opset is not None})
        raise NotFoundError(f"The zoo has no {name} at opset {opset}.", remedy=f"It has {', '.join(map(str, opsets))}.")
    return max(found, key=lambda model: model.opset or 0)
