"""A project: its folder, its file, its code."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxyard.errors import InvalidRequestError
from onnxyard.lifecycle.digest import digest_of, file_digest
from onnxyard.project.file import PACKAGES, ProjectFile
from onnxyard.project.functions import Functions
from onnxyard.project.reading import read_project_file
from onnxyard.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """A finished ONNX model on this machine.

    Attributes:
        file: The ONNX file, absolute; its external data lies beside it.
        origin: Where it came from, as `model.onnx`, `models:/digits/3` or `zoo:ResNet50@13`.
    """

    file: Path
    origin: str


def is_remote(onnx: str) -> bool:
    """Whether `[project] onnx` names a model in a registry or a zoo, and no file."""
    return onnx.startswith(("models:/", "zoo:"))


@dataclass(frozen=True)
class Project:
    """A loaded project; nothing of its code has run yet.

    Attributes:
        root: The project's folder, absolute.
        file: Its project file.
        code_digest: sha256 over its Python files and the files that the project file names (checkpoint, onnx, files);
            a model that was fetched counts with its own digest.
        fetched: The model that `[project] onnx` names in a registry or a zoo, once it is here
            (`onnxyard.operations.acquire`).
        home: The folder that holds all state, with the toolchains in it; None takes what the settings say.
    """

    root: Path
    file: ProjectFile
    code_digest: str
    fetched: FetchedModel | None = None
    home: Path | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.file.project.name

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose version changes what develop gives."""
        return ("onnx",) if self.file.project.onnx else PACKAGES[self.file.project.framework]

    @property
    def finished(self) -> FetchedModel | None:
        """The finished model that takes the place of `model` and `train`; None for a project that has these.

        Raises:
            InvalidRequestError: it lies in a registry or a zoo and was not fetched.
        """
        named = self.file.project.onnx
        if named is None or self.fetched is not None:
            return self.fetched
        if is_remote(named):
            raise InvalidRequestError(
                f"The model {named} was not fetched.", remedy="Call onnxyard.operations.acquire.acquired(project, ...)."
            )
        return FetchedModel(self.root / named, named)

    @property
    def opset(self) -> int | None:
        """The opset that export must give; None for a finished file whose project does not say which it must have."""
        stated = "opset" in self.file.export.model_fields_set
        return self.file.export.opset if stated or self.file.project.onnx is None else None

    @property
    def config(self) -> dict[str, Any]:
        """What the project's functions are given: `[develop.config]` with `seed`."""
        return {**self.file.develop.config, "seed": self.file.develop.seed}

    def sections(self, *names: str) -> dict[str, Any]:
        """Sections of the project file with their defaults filled in, JSON-compatible, for keys."""
        whole = self.file.model_dump(mode="json")
        return {name: whole[name] for name in names}

    def functions(self) -> Functions:
        """The functions of its module, which runs now (once per process and state of the code).

        Raises:
            UserCodeError: the module cannot be loaded.
        """
        return Functions.load(
            self.root,
            self.file.project.module,
            digest=self.code_digest,
            config=self.config,
            seed=self.file.develop.seed,
            missing=self.file.project.missing,
        )

    @cached_property
    def git_commit(self) -> str | None:
        """The commit checked out, with `+dirty` behind it where the project's folder differs; None outside git."""
        commit = _git(self.root, "rev-parse", "HEAD")
        if not commit:
            return None
        return f"{commit}+dirty" if _git(self.root, "status", "--porcelain", "--", ".") else commit


def load_project(path: Path) -> Project:
    """Load the project in a folder (or whose project file this is).

    Raises:
        NotFoundError: there is no project.
        ProjectFileError: its file holds mistakes.
    """
    root = (path.parent if path.name == PROJECT_FILE else path).expanduser().resolve()
    file = read_project_file(root)
    named = {path.relative_to(root).as_posix(): file_digest(path) for path in sorted(set(_code(root, file)))}
    return Project(root, file, digest_of(named))


def _code(root: Path, file: ProjectFile) -> Iterator[Path]:
    """Python files, and the files named by hand. What is hidden or an environment is not the project's."""
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name != "__pycache__" and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(folder, name) for name in names if name.endswith(".py"))
    for name in (file.project.onnx, file.develop.checkpoint):
        if name is not None and not is_remote(name):
            path = root / name
            yield from (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else (path,)
    for step in (*file.preprocess, *file.postprocess):
        yield from (root / name for name in step.files)
    for pattern in file.project.files:
        yield from (path for path in root.glob(pattern) if path.is_file())


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
