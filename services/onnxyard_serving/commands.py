"""`onnxyard serve`."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer

from onnxyard.cli.options import HomeOption, JsonOption
from onnxyard.cli.output import out
from onnxyard.settings import Settings


def register(app: typer.Typer) -> None:
    """Add `serve`."""

    @app.command()
    def serve(
        host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
        endpoint: Annotated[
            list[str] | None, typer.Option(metavar="NAME", help="Serve only this endpoint; repeat for more.")
        ] = None,
        as_json: JsonOption = False,
        home: HomeOption = None,
    ) -> None:
        """Serve every endpoint of a home over the Open Inference Protocol V2, and follow the registry."""
        from onnxyard_serving.server import serve as run  # noqa: PLC0415 - fastapi and uvicorn

        def announce(url: str) -> None:
            if as_json:
                sys.stdout.write(json.dumps({"url": url, "pid": os.getpid()}) + "\n")  # one line, for who reads lines
                sys.stdout.flush()
            else:
                out.print(f"Serving on {url}/v2 (Ctrl-C stops)")

        run(Settings.read(home=home), host=host, port=port, names=endpoint or (), announce=announce)
