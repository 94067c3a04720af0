"""Which source a project has; only that one is imported."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from onnxyard.errors import MissingExtraError
from onnxyard.toolchains.catalogue import known

if TYPE_CHECKING:
    from onnxyard.project.project import Project
    from onnxyard.sources.source import Source


def versions_of(project: Project) -> dict[str, str]:
    """The versions of whatever makes the project's model: what comes out of develop and export depends on them.

    Distributions of this environment, or the pinned ones of the toolchain that the framework lives in.
    """
    from onnxyard.sources.isolated import Isolated  # noqa: PLC0415 - brings onnx; the commands' help does without

    source = model_source_of(project)
    if isinstance(source, Isolated):
        own = dict(known(source.toolchain).versions)
    else:
        own = {name: metadata.version(name) for name in project.packages}
    steps = (*project.file.preprocess, *project.file.postprocess)
    needed = {"onnx", "onnxruntime", *(name for step in steps for name in step.packages)} if steps else set()
    return own | {name: _installed(name) for name in sorted(needed)}


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError(
            f"The project's steps need {package}, which is not installed.",
            remedy="Install it with: pip install 'onnxyard[processing]'",
            extra="processing",
        ) from error


def source_of(project: Project) -> Source:
    """The source of a project: its finished file, or the framework it names, with the project's steps around it.

    Raises:
        MissingExtraError: the framework's adapter needs a package that is not installed.
    """
    source = model_source_of(project)
    if project.file.preprocess or project.file.postprocess:
        from onnxyard.sources.processed import Processed  # noqa: PLC0415 - as below

        return Processed(source)
    return source


def model_source_of(project: Project) -> Source:
    """The source of the model itself, without the project's steps. Raises as `source_of`."""
    framework = project.file.project.framework
    if project.file.project.onnx is not None:
        from onnxyard.sources.finished import FinishedFile  # noqa: PLC0415 - only the one that is asked for

        return FinishedFile()
    if framework == "keras":
        from onnxyard.sources.keras.source import KERAS  # noqa: PLC0415 - as above

        return KERAS
    if framework == "jax":
        from onnxyard.sources.jax.source import JAX  # noqa: PLC0415 - as above

        return JAX
    from onnxyard.sources.torch.source import Torch  # noqa: PLC0415 - as above

    return Torch()
