"""The toolchains there are: one TOML file each in `catalogue/`, with the exact version of everything it holds."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from onnxyard.errors import NotFoundError

_FILES = Path(__file__).with_name("catalogue")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What one toolchain is made of.

    Attributes:
        name: As in `onnxyard toolchain install tensorflow`.
        title: What it is for, in a few words.
        megabytes: What it takes on disk, about.
        shown: The distributions a person cares about.
        imports: Modules that must import before it counts as installed.
        versions: The exact version of every distribution in it.
        variables: Environment variables of its processes; `{folder}` stands for the environment's folder.
        sources: Distributions that the index has no wheels of; theirs are fetched by their makers' own build.
    """

    name: str
    title: str
    megabytes: int
    shown: tuple[str, ...]
    imports: tuple[str, ...]
    versions: Mapping[str, str]
    variables: Mapping[str, str]
    sources: tuple[str, ...] = ()

    @property
    def requirements(self) -> tuple[str, ...]:
        """As pip reads them: `name==version`."""
        return tuple(f"{name}=={version}" for name, version in self.versions.items())


@cache
def catalogue() -> dict[str, Toolchain]:
    """Every toolchain by name."""
    return {file.stem: read(file) for file in sorted(_FILES.glob("*.toml"))}


def known(name: str) -> Toolchain:
    """The toolchain of this name. Raises NotFoundError naming those there are."""
    try:
        return catalogue()[name]
    except KeyError:
        raise NotFoundError(f"There is no toolchain {name!r}.", remedy=f"There is {', '.join(catalogue())}.") from None


def read(file: Path) -> Toolchain:
    """One file of the catalogue."""
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    return Toolchain(
        name=file.stem,
        title=document["title"],
        megabytes=document["megabytes"],
        shown=tuple(document["shown"]),
        imports=tuple(document["imports"]),
        versions=document["versions"],
        variables=document.get("variables", {}),
        sources=tuple(document.get("sources", ())),
    )
