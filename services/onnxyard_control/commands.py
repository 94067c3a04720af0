"""Commands of this room."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxyard.cli.options import HomeOption
from onnxyard.settings import Settings


def register(app: typer.Typer) -> None:
    """Add `control`."""

    @app.command()
    def control(
        host: Annotated[
            str, typer.Option(help="Address to listen at; loopback unless you mean otherwise.")
        ] = "127.0.0.1",
        port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8081,
        home: HomeOption = None,
    ) -> None:
        """Answer questions about the registry over HTTP (read-only JSON)."""
        from onnxyard_control.server import serve  # noqa: PLC0415 - fastapi, uvicorn

        serve(Settings.read(home=home), host=host, port=port)
