"""`onnxyard blame`: the first place where an exported graph differs from its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
