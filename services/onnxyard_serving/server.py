"""One process: a socket, the application and uvicorn; ended by SIGTERM or SIGINT with nothing lost."""

from __future__ import annotations

import asyncio
import errno
import http.client
import json
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from onnxyard.errors import ConflictError, InvalidRequestError
from onnxyard_serving.app import create_app
from onnxyard_serving.compose import Replica

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxyard.settings import Settings

BACKLOG = 2048
DRAIN_SECONDS = 30
"""Requests that are still running this long after SIGTERM are cut off."""
KEEP_ALIVE_SECONDS = 75
"""A connection may be idle this long: longer than common proxies keep theirs, so that they close first, not we."""
ASK_SECONDS = 0.5


def serve(settings: Settings, *, host: str, port: int, names: Sequence[str], announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: The installation.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        names: Endpoints to serve; empty for all.
        announce: Called once with the URL, when requests are answered and the registry was asked for the first time.

    Raises:
        ConflictError: the port is in use.
        InvalidRequestError: the address cannot be listened on.
    """
    with _bind(host, port) as listener:
        url = _url(host, listener.getsockname()[1])
        replica = Replica(settings, url=url, names=names)
        config = uvicorn.Config(
            create_app(replica),
            log_level="warning",
            access_log=False,
            ws="none",
            lifespan="on",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn drains on both, then raises the signal again for whoever handled it before: an orderly end is 0.
            signal.signal(number, lambda *_: None)
        _Server(config, replica, lambda: announce(url)).run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn's server, which announces itself when the first look at the registry is done."""

    def __init__(self, config: uvicorn.Config, replica: Replica, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._replica = replica
        self._announce = announce
        self._announcing: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announcing = asyncio.create_task(self._announce_when_ready())

    async def _announce_when_ready(self) -> None:
        await asyncio.to_thread(self._replica.follower.first_pass.wait)
        if not self.should_exit:
            self._announce()


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"Port {port} of {host} is in use{_holder(host, port)}.",
                where=_url(host, port),
                remedy="Stop what listens there, or choose another port: --port 0 takes a free one.",
            ) from error
        raise InvalidRequestError(f"Cannot listen on {host} port {port}: {error.strerror or error}.") from error


def _holder(host: str, port: int) -> str:
    """Who listens there, as ` by onnxyard 0.1.0`, if it speaks our protocol."""
    connection = http.client.HTTPConnection(host, port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", "/v2")
        answer = json.loads(connection.getresponse().read(4096))
        return f" by {answer['name']} {answer['version']}"
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return ""  # something else, or something silent
    finally:
        connection.close()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
