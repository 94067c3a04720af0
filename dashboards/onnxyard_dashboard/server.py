"""Running the dashboard until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from onnxyard.bootstrap import Yard
from onnxyard.cli.output import err
from onnxyard_dashboard.app import create_app
from onnxyard_web.listening import listen, url_of

if TYPE_CHECKING:
    from onnxyard.settings import Settings


def serve(
    settings: Settings, *, host: str, port: int, mlflow_url: str | None = None, prefect_url: str | None = None
) -> None:
    """Answer until SIGINT or SIGTERM. Raises as `listen`."""
    app = create_app(Yard(settings), mlflow_url=mlflow_url, prefect_url=prefect_url)
    with listen(host, port) as listener:
        err.print(f"Dashboard  {url_of(host, listener.getsockname()[1])}")
        uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False)).run(sockets=[listener])
