"""The key under which a stage's result may be reused."""

from __future__ import annotations

from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.lifecycle.digest import digest_of, file_digest

if TYPE_CHECKING:
    from collections.abc import Mapping


def stage_key(stage: str, inputs: Mapping[str, object], *, packages: tuple[str, ...] = ()) -> str:
    """Digest a stage's inputs together with its own source and the packages that do its work.

    Args:
        stage: The stage's name, as `export`.
        inputs: JSON-compatible: configuration sections and the digests of input artifacts.
        packages: Distributions whose version changes what the stage gives, as `torch`.
    """
    folder = Path(str(import_module(f"onnxyard.stages.{stage}").__file__)).parent
    return digest_of(
        {
            "stage": stage,
            "inputs": dict(inputs),
            "sources": {path.name: file_digest(path) for path in sorted(folder.glob("*.py"))},
            "packages": {name: metadata.version(name) for name in packages},
        }
    )
