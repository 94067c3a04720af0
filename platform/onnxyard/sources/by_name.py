"""Which source a project has; only that one is imported."""

from __future__ import annotations

from importlib import import_module, metadata
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
        own = {name: _installed(name, "torch" if name == "torch" else "trees") for name in project.packages}
    steps = (*project.file.preprocess, *project.file.postprocess)
    needed = {"onnx", "onnxruntime", *(name for step in steps for name in step.packages)} if steps else set()
    return own | {name: _installed(name, "processing") for name in sorted(needed)}


def _installed(package: str, extra: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError as error:
        if other := _OTHER_WHEEL.get(package):
            return _installed(other, extra)
        raise MissingExtraError(
            f"The project needs {package}, which is not installed.",
            remedy=f"Install it with: pip install 'onnxyard[{extra}]'",
            extra=extra,
            package=package,
        ) from error


_OF_TABLES = {"sklearn": "Sklearn", "xgboost": "XGBoost", "lightgbm": "LightGBM"}
_OTHER_WHEEL = {"xgboost-cpu": "xgboost"}
"""The same code with more around it (a quarter gigabyte for NVIDIA's processors)."""


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
    if framework in _OF_TABLES:
        room = import_module(f"onnxyard.sources.{framework}.source")
        source: Source = getattr(room, _OF_TABLES[framework])()
        return source
    if framework == "jax":
        from onnxyard.sources.jax.source import JAX  # noqa: PLC0415 - as above

        return JAX
    from onnxyard.sources.torch.source import Torch  # noqa: PLC0415 - as above

    return Torch()
