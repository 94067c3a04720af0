"""A Prefect API for one command, when no server is named.

Prefect brings a temporary server of its own, but it polls for a free port, starts only when the flow does (6 s on two
cores, in line) and outlives a command that is killed. Ours listens on a socket made here, comes up while the command
loads the project, and ends when the pipe to the command closes, however the command ended.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onnxyard.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

START_SECONDS = 120.0
"""The first start also makes Prefect's database (13 s on two idle cores)."""
STOP_SECONDS = 10.0


class EmbeddedServer:
    """A running server; usable at once, for the socket queues what comes before it is up.

    Attributes:
        api_url: What PREFECT_API_URL must be.
    """

    def __init__(self, process: subprocess.Popen[bytes], api_url: str, log: Path) -> None:
        self._process = process
        self._log = log
        self.api_url = api_url

    def wait(self) -> None:
        """Return when it answers.

        Raises:
            UnreachableError: it ended instead, or took too long; its log is named.
        """
        try:
            with urllib.request.urlopen(f"{self.api_url}/health", timeout=START_SECONDS):  # noqa: S310 - http, loopback
                return
        except OSError as error:
            raise UnreachableError(
                "Prefect's embedded server did not start.", where=str(self._log), remedy="See its log."
            ) from error

    def stop(self) -> None:
        """Close the pipe, wait, and kill it where it does not end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def embedded_server(environment: Mapping[str, str], *, log: Path) -> Iterator[EmbeddedServer]:
    """Start a server with `environment` (see `prefect_environment`), its output in the file `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket() as listener, log.open("wb") as output:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "onnxyard_flows.embedded_server", str(listener.fileno())],
            pass_fds=(listener.fileno(),),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment, "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"},
            start_new_session=True,  # Ctrl-C is the command's to handle: the flow still has its end to tell
        )
    server = EmbeddedServer(process, f"http://127.0.0.1:{port}/api", log)
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    """Serve on the inherited socket until stdin closes."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    import uvicorn  # noqa: PLC0415 - after the watch on the parent has begun
    from prefect.server.api.server import create_app  # noqa: PLC0415 - takes seconds, likewise

    uvicorn.Server(uvicorn.Config(create_app(), log_level="error")).run(sockets=[listener])


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # Prefect's own shutdown takes seconds, and its SQLite database is safe in WAL mode


if __name__ == "__main__":
    main()
