"""Commands of this room."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxyard.cli.options import HomeOption
from onnxyard.settings import Settings


def register(app: typer.Typer) -> None:
    """Add `dashboard`."""

    @app.command()
    def dashboard(
        host: Annotated[
            str, typer.Option(help="Address to listen at; loopback unless you mean otherwise.")
        ] = "127.0.0.1",
        port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8082,
        mlflow_url: Annotated[str | None, typer.Option(help="Where a browser finds MLflow.")] = None,
        prefect_url: Annotated[str | None, typer.Option(help="Where a browser finds Prefect.")] = None,
        home: HomeOption = None,
    ) -> None:
        """Show what is live, what was made and what drifted, on one page."""
        from onnxyard_dashboard.server import serve  # noqa: PLC0415 - fastapi, uvicorn

        serve(Settings.read(home=home), host=host, port=port, mlflow_url=mlflow_url, prefect_url=prefect_url)
