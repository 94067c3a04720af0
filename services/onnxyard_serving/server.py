"""One process: a socket, the application and uvicorn; ended by SIGTERM or SIGINT with nothing lost."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import uvicorn

from onnxyard_serving.app import create_app
from onnxyard_serving.compose import Replica
from onnxyard_web.listening import listen, url_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from onnxyard.settings import Settings

DRAIN_SECONDS = 30
"""Requests that are still running this long after SIGTERM are cut off."""
KEEP_ALIVE_SECONDS = 75
"""A connection may be idle this long: longer than common proxies keep theirs, so that they close first, not we."""


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
    with listen(host, port) as listener:
        url = url_of(host, listener.getsockname()[1])
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
