"""docker-compose.yml as the tests read it: variables filled in the way Compose does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).parents[1] / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<text>[^}]*))?\}")


class MissingVariableError(Exception):
    """A `${NAME:?text}` without its value: Compose refuses to start."""


def load(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file, with merged anchors and `variables` filled in. Raises MissingVariableError."""

    def fill(match: re.Match[str]) -> str:
        value = variables.get(match["name"], "")
        if value or match["how"] is None:
            return value
        if match["how"] == ":?":
            raise MissingVariableError(match["name"])
        return match["text"]

    document: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(fill, FILE.read_text(encoding="utf-8")))
    return document
