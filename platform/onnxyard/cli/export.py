"""`onnxyard export`: the export stage alone, for a project or a finished file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
