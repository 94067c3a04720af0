"""The key under which a stage's result may be reused."""

from __future__ import annotations

from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.lifecycle.digest import digest_of, file_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOMS = ("sources", "diagnosis", "measuring", "runtimes", "toolchains", "processing")
"""What every stage leans on: a change there may change what it gives."""


def stage_key(
    stage: str,
    inputs: Mapping[str, object],
    *,
    packages: tuple[str, ...] = (),
    versions: Mapping[str, str] | None = None,
) -> str:
    """Digest a stage's inputs together with its source, what it leans on, and the packages that do its work.

    Args:
        stage: The stage's name, as `export`.
        inputs: JSON-compatible: configuration sections and the digests of input artifacts.
        packages: Distributions whose version changes what the stage gives, as `onnx`.
        versions: Versions of what is not asked here: the source's (`onnxyard.sources.by_name.versions_of`).
    """
    folder = Path(str(import_module(f"onnxyard.stages.{stage}").__file__)).parent
    house = folder.parents[1]
    rooms = [house / name for name in ROOMS]
    sources = (*folder.rglob("*.py"), *folder.parent.glob("*.py"), *(path for r in rooms for path in r.rglob("*.py")))
    return digest_of(
        {
            "stage": stage,
            "inputs": dict(inputs),
            "sources": {path.relative_to(house).as_posix(): file_digest(path) for path in sorted(sources)},
            "packages": {**{name: metadata.version(name) for name in packages}, **(versions or {})},
        }
    )
