"""The suite: every module, in the order of its themes."""

from __future__ import annotations

import fnmatch
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.export.case import CASES

if TYPE_CHECKING:
    from benchmarks.export.case import Case

THEMES = (
    "resize", "sampling", "attention", "recurrent", "indexing", "statistics", "linear_algebra", "spectral", "control",
    "custom", "state", "networks",
)  # fmt: skip


def suite(pattern: str = "*") -> list[Case]:
    """The cases whose name has the pattern, as `resize/*` or `antialias`."""
    for theme in THEMES:
        import_module(f"benchmarks.export.modules.{theme}")
    return [one for one in CASES if fnmatch.fnmatch(one.name, pattern) or pattern in one.name]
