"""Bring the finished model that a project names in a registry or a zoo, before any stage runs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.digest import digest_of
from onnxyard.project.project import FetchedModel, is_remote

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from onnxyard.ports.model_origin import ModelOrigin
    from onnxyard.project.project import Project

MODEL_FILE = "model.onnx"


def acquired(project: Project, origin_of: Callable[[Project], ModelOrigin], downloads: Path) -> Project:
    """The project with its remote model on this machine; any other project as it is.

    An alias is followed anew each time: what it points to counts into the project's digest, so that an unchanged model
    makes no new version and another one does.

    Args:
        project: The loaded project.
        origin_of: Gives the place that `[project] onnx` speaks of.
        downloads: Where fetched models are kept, by digest.

    Raises what `ModelOrigin.fetch` raises; nothing is left of a model that did not come whole.
    """
    reference = project.file.project.onnx
    if reference is None or not is_remote(reference) or project.fetched is not None:
        return project
    draft = downloads / f".{digest_of([reference, str(project.root)])[:16]}.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        found = origin_of(project).fetch(reference, draft)
        digest = Artifact.of_folder(draft).digest
        kept = downloads / digest
        if not kept.exists():
            draft.replace(kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return replace(
        project,
        code_digest=digest_of([project.code_digest, digest]),
        fetched=FetchedModel(kept / MODEL_FILE, found),
    )
