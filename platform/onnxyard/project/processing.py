"""A version's preprocess and postprocess: one Python file, used alike in training, validation and serving."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxyard.errors import ArtifactCorruptError, UserCodeError
from onnxyard.lifecycle.digest import file_digest
from onnxyard.project.modules import blaming, load_module
from onnxyard.project.protocols import Tensors

FILE = "processing.py"
"""Its name in the PROCESSING artifact."""

_Step = Callable[[Tensors], object]


@dataclass(frozen=True)
class Processing:
    """What stands before and behind the model. Thread-safe where the user's functions are (they should be pure).

    Attributes:
        preprocess: Raw inputs to model inputs; None changes nothing.
        postprocess: Model outputs to the answer; None changes nothing.
        digest: sha256 of the file; None where there is none.
        folder: The folder that holds it; None where there is none.
    """

    preprocess: _Step | None = None
    postprocess: _Step | None = None
    digest: str | None = None
    folder: Path | None = None

    def before(self, raw: Tensors) -> dict[str, np.ndarray]:
        """Raw inputs as the model wants them.

        Raises:
            UserCodeError: `preprocess` raised, gave anything but arrays by name, or changed the number of rows.
        """
        return self._apply("preprocess", self.preprocess, raw)

    def after(self, outputs: Tensors) -> dict[str, np.ndarray]:
        """The model's outputs as the client gets them.

        Raises:
            UserCodeError: `postprocess` raised, gave anything but arrays by name, or changed the number of rows.
        """
        return self._apply("postprocess", self.postprocess, outputs)

    def _apply(self, name: str, step: _Step | None, tensors: Tensors) -> dict[str, np.ndarray]:
        if step is None or self.folder is None:
            return dict(tensors)
        with blaming(self.folder, f"{name} raised"):
            made = step(tensors)
        if not isinstance(made, Mapping) or not made:
            raise UserCodeError(f"{name} returned a {type(made).__name__}, not arrays by name.", where=FILE)
        rows = {len(values) for values in tensors.values() if values.ndim}
        for key, values in made.items():
            if not isinstance(key, str) or not isinstance(values, np.ndarray):
                raise UserCodeError(f"{name} returned a {type(values).__name__} for {key!r}, not an array.", where=FILE)
            if values.ndim == 0 or {len(values)} != rows:
                raise UserCodeError(
                    f"{name} gave {key!r} the shape {list(values.shape)} for {min(rows, default=0)} rows: "
                    "it must keep the rows.",
                    where=FILE,
                )
        return dict(made)


def load_processing(folder: Path | None) -> Processing:
    """The processing of a PROCESSING artifact's folder (verified before); the identity for None.

    Raises:
        ArtifactCorruptError: the folder holds no `processing.py`.
        UserCodeError: the file cannot be loaded, imports something beyond numpy and the standard library, or has
            neither function.
    """
    if folder is None:
        return Processing()
    path = folder / FILE
    if not path.is_file():
        raise ArtifactCorruptError("There is no processing.py.", where=str(folder))
    digest = file_digest(path)
    check_imports(path)
    module = load_module(path, digest=digest)
    preprocess, postprocess = getattr(module, "preprocess", None), getattr(module, "postprocess", None)
    if not callable(preprocess) and not callable(postprocess):
        raise UserCodeError("The processing file has neither preprocess nor postprocess.", where=FILE)
    return Processing(preprocess, postprocess, digest, folder)


def check_imports(path: Path) -> None:
    """Refuse, without running it, a file that imports anything beyond numpy and the standard library.

    It runs wherever the version is served, where nothing else is installed. This is a courtesy to the author, no
    sandbox: who may register a version may run code.

    Raises:
        UserCodeError: naming the line and the module; also for a file that is no Python.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise UserCodeError(f"This is no Python: {error}.", where=f"{path.name}:{line}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        else:
            continue
        for name in names:
            package = name.partition(".")[0]
            if package != "numpy" and package not in sys.stdlib_module_names:
                raise UserCodeError(
                    f"The processing file imports {name}, which is neither numpy nor the standard library.",
                    where=f"{path.name}:{node.lineno}",
                    remedy="It travels alone with every version: move what it needs into this one file.",
                )
