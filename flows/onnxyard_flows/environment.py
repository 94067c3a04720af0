"""Prefect's settings: an environment, complete before `import prefect` reads it."""

from __future__ import annotations

import os
import urllib.request
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onnxyard.errors import UnreachableError
from onnxyard_flows.embedded_server import EmbeddedServer, embedded_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.settings import Settings

PROBE_SECONDS = 3.0
QUIET = {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_LOGGING_TO_API_ENABLED": "false"}
"""A command's user reads our messages, not Prefect's account of them; a worker's log holds both."""


def prefect_environment(settings: Settings) -> dict[str, str]:
    """What Prefect must find in its environment to keep to this home.

    The same variables serve a command, the embedded server, and a server or worker that `onnxyard up` starts.
    """
    environment = {
        "PREFECT_HOME": str(settings.prefect),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",  # ours instead: see embedded_server
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
        "PREFECT_LOGGING_COLORS": "false",
        "PREFECT_CLI_PROMPT": "false",
    }
    if settings.prefect_api_url is not None:
        environment["PREFECT_API_URL"] = settings.prefect_api_url
    return environment


@contextmanager
def prefect_server(settings: Settings) -> Iterator[str]:
    """Set the environment for a server that must be there: deployments live in one. Yields its API's URL.

    Raises:
        UnreachableError: no server is named, or it does not answer.
    """
    url = settings.prefect_api_url
    if url is None:
        raise UnreachableError(
            "Deployments need a Prefect server, and none is named.",
            remedy="Start one (onnxyard up prints its URL) and set ONNXYARD_PREFECT_API_URL.",
        )
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=PROBE_SECONDS):  # noqa: S310 - the user's own URL
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UnreachableError(
            f"The Prefect server does not answer: {reason}.",
            where=url,
            remedy="Start it, or correct ONNXYARD_PREFECT_API_URL.",
            url=url,
        ) from error
    os.environ.update(prefect_environment(settings) | QUIET)
    # Asking a server needs no folder, so none is made where the command happens to stand.
    warnings.filterwarnings("ignore", message="Failed to create the Prefect home directory")
    yield url


@contextmanager
def prefect_api(settings: Settings) -> Iterator[EmbeddedServer | None]:
    """Set the environment and see to a server: the one that is named, or an embedded one that is still starting.

    Call it before prefect is imported, and `wait()` for the embedded server before a flow runs.
    """
    environment = prefect_environment(settings) | QUIET
    settings.prefect.mkdir(parents=True, exist_ok=True)
    if settings.prefect_api_url is not None:
        with prefect_server(settings):
            yield None
        return
    with embedded_server(environment, log=settings.logs / "prefect-embedded.log") as server:
        os.environ.update(environment | {"PREFECT_API_URL": server.api_url})
        yield server
