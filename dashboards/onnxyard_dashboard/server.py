"""Running the dashboard until it is told to stop."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn

from onnxyard.bootstrap import Yard
from onnxyard.cli.output import err
from onnxyard.errors import ConflictError
from onnxyard_dashboard.app import create_app

if TYPE_CHECKING:
    from onnxyard.settings import Settings


def serve(
    settings: Settings, *, host: str, port: int, mlflow_url: str | None = None, prefect_url: str | None = None
) -> None:
    """Answer until SIGINT or SIGTERM. Raises ConflictError when the port is in use."""
    app = create_app(Yard(settings), mlflow_url=mlflow_url, prefect_url=prefect_url)
    with _listen(host, port) as listener:
        err.print(f"Dashboard  http://{host}:{listener.getsockname()[1]}")
        uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False)).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]  # what follows repeats the address
        raise ConflictError(
            f"Port {port} of {host} cannot be listened at: {reason}.", remedy="Choose another with --port."
        ) from error
