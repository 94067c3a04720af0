"""One toolchain's environment under home: where it lies, and in which state it is."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.errors import MissingExtraError
from onnxyard.settings import Settings
from onnxyard.toolchains.catalogue import Toolchain

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORD = "toolchain.json"
"""Written into an environment once everything in it works: without it, it was never finished."""
_OURS = re.compile(r"(PYTHON|VIRTUAL_ENV|ONNXYARD_|MLFLOW_|PREFECT_)")


class State(StrEnum):
    """How an environment is."""

    ABSENT = "absent"
    INSTALLED = "installed"
    OUTDATED = "outdated"
    """It holds other versions than this release of Onnxyard wants."""
    BROKEN = "broken"
    """Something of it is gone, as the Python it was made with."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A toolchain's place in one home; whether anything is there is its state.

    Attributes:
        toolchain: What it is made of.
        settings: Whose home it lies under.
    """

    toolchain: Toolchain
    settings: Settings

    @property
    def folder(self) -> Path:
        """The environment's own folder."""
        return self.settings.toolchains / self.toolchain.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def state(self) -> State:
        """How it is, by its record and its interpreter."""
        if not self.folder.exists():
            return State.ABSENT
        try:
            versions = json.loads((self.folder / RECORD).read_bytes())["versions"]
        except (OSError, ValueError, TypeError, KeyError):
            return State.BROKEN
        if not os.access(self.python, os.X_OK):
            return State.BROKEN
        return State.INSTALLED if versions == dict(self.toolchain.versions) else State.OUTDATED

    def surroundings(self, folder: Path | None = None) -> dict[str, str]:
        """The environment variables of its processes; `folder` is where it lies before it takes its place."""
        where = str(folder or self.folder)
        return surroundings({key: text.format(folder=where) for key, text in self.toolchain.variables.items()})

    def size_bytes(self) -> int:
        """What it takes on disk."""
        return sum(Path(folder, name).lstat().st_size for folder, _, names in os.walk(self.folder) for name in names)

    def require(self) -> None:
        """Refuse to go on without it.

        Raises:
            MissingExtraError: it is not installed, or not as this release wants it; names the command that mends it.
        """
        state = self.state
        if state is not State.INSTALLED:
            told = {State.ABSENT: "not installed", State.OUTDATED: "installed in other versions"}.get(
                state, state.value
            )
            raise MissingExtraError(
                f"This needs the toolchain {self.toolchain.name!r} ({self.toolchain.title}), which is {told}.",
                where=str(self.folder),
                remedy=f"Install it with: onnxyard toolchain install {self.toolchain.name} --home {self.settings.home}",
                toolchain=self.toolchain.name,
            )


def surroundings(further: Mapping[str, str]) -> dict[str, str]:
    """The environment variables a toolchain's processes get: the user's own, without Python's and Onnxyard's.

    What configures another interpreter does not belong there, and addresses of our servers even less.
    """
    kept = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    return {**kept, "PYTHONNOUSERSITE": "1", "PYTHONHASHSEED": "0", **further}
