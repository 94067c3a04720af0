"""Listening on an address, and saying clearly why that did not work."""

from __future__ import annotations

import errno
import http.client
import json
import socket

from onnxyard.errors import ConflictError, InvalidRequestError

BACKLOG = 2048
ASK_SECONDS = 0.5


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket, IPv4 or IPv6.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.

    Raises:
        ConflictError: the port is in use; who holds it is said where it speaks our protocol.
        InvalidRequestError: the address cannot be listened on.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"Port {port} of {host} is in use{_holder(host, port)}.",
                where=url_of(host, port),
                remedy="Stop what listens there, or choose another port: --port 0 takes a free one.",
            ) from error
        raise InvalidRequestError(f"Cannot listen on {host} port {port}: {error.strerror or error}.") from error


def url_of(host: str, port: int) -> str:
    """The address as a URL."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
