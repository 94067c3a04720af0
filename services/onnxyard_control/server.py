"""Running the control plane until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from onnxyard.bootstrap import Yard
from onnxyard.cli.output import err
from onnxyard_control.app import create_app
from onnxyard_web.listening import listen, url_of

if TYPE_CHECKING:
    from onnxyard.settings import Settings


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Answer until SIGINT or SIGTERM. Raises as `listen`."""
    app = create_app(Yard(settings))
    with listen(host, port) as listener:
        err.print(f"Control API  {url_of(host, listener.getsockname()[1])}")
        uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False)).run(sockets=[listener])
