"""The connection to an MLflow database or server, for those who record there and those who fetch from there.

MLflow is imported in this folder alone, and only when something is really asked of it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from onnxyard.disk import full_disk
from onnxyard.errors import InvalidRequestError, NotFoundError, OnnxyardError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient

PROBE_SECONDS = 3.0
"""How long a server may take to say that it is there, before a lifecycle starts."""
_ENVIRONMENT = {
    # Nothing is unpickled that we did not write ourselves.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Its own defaults (120 s, 7 tries) turn a server that went away into minutes of silence.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


class MlflowConnection:
    """One MLflow.

    Args:
        tracking_uri: `sqlite:///FILE`, another database URL, or a server's `http(s)://`.
        artifacts: The folder for files when `tracking_uri` is a database; a server keeps them where it was told to.
    """

    def __init__(self, tracking_uri: str, *, artifacts: Path) -> None:
        self.uri = tracking_uri.rstrip("/") if tracking_uri.startswith("http") else tracking_uri
        self.artifacts = artifacts
        self._opened: MlflowClient | None = None

    def check(self) -> None:
        """Raise UnreachableError when recording would not work now; imports no MLflow to find out."""
        scheme = urlsplit(self.uri).scheme
        if scheme in {"http", "https"}:
            self._probe()
        elif scheme == "sqlite":
            for folder in (_sqlite_file(self.uri).parent, self.artifacts):
                _must_be_writable(folder)
        else:
            with self.told():
                self.client.search_experiments(max_results=1)

    @property
    def client(self) -> MlflowClient:
        """MLflow's client; the first call imports it, which takes seconds."""
        if self._opened is None:
            os.environ.update(_ENVIRONMENT)  # MLflow has no other way in, and reads it when it is imported
            if not self.uri.startswith("http"):
                # Or else its database store makes `./mlruns` for a default that no experiment of ours uses.
                os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = self.artifacts.as_uri()
            if self.uri.startswith("sqlite"):
                _sqlite_file(self.uri).parent.mkdir(parents=True, exist_ok=True)
            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.WARNING)
            import mlflow  # noqa: PLC0415 - takes seconds, and an unchanged run records nothing

            logging.getLogger("mlflow").setLevel(logging.WARNING)  # importing it set INFO
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # tracebacks of what it raises anyway
            with _environment_kept("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
                mlflow.set_tracking_uri(self.uri)  # `onnx.log_model` takes no client
                mlflow.set_registry_uri(self.uri)
            self._opened = mlflow.MlflowClient(self.uri, self.uri)
        return self._opened

    def _probe(self) -> None:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=PROBE_SECONDS):  # noqa: S310 - http(s), see check
                return
        except (OSError, ValueError) as error:  # URLError and time-outs are OSErrors
            reason = getattr(error, "reason", error)
            raise self._unreachable(str(reason)) from error

    def _unreachable(self, reason: str) -> UnreachableError:
        return UnreachableError(
            f"MLflow does not answer: {reason}.",
            where=self.uri,
            remedy="Start it, or correct ONNXYARD_MLFLOW_TRACKING_URI; unset it to keep the records under home.",
            url=self.uri,
        )

    @contextmanager
    def told(self) -> Iterator[None]:
        """Errors of MLflow and its HTTP client, told in our words."""
        try:
            yield
        except OnnxyardError:
            raise
        except Exception as error:
            if (full := full_disk(error)) is not None:
                full.where = full.where or self.uri
                raise full from error
            if isinstance(error, OSError):  # requests' exceptions are OSErrors
                raise self._unreachable(_first_line(error)) from error
            from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see `_client`

            if not isinstance(error, MlflowException):
                raise
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}:
                raise NotFoundError(f"MLflow knows no such thing: {_first_line(error)}", where=self.uri) from error
            if error.error_code in {"INVALID_PARAMETER_VALUE", "BAD_REQUEST"}:
                raise InvalidRequestError(f"MLflow refused it: {_first_line(error)}", where=self.uri) from error
            raise self._unreachable(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def _sqlite_file(uri: str) -> Path:
    return Path(urlsplit(uri).path.removeprefix("/"))  # as SQLAlchemy reads it: four slashes are an absolute path


def _must_be_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise UnreachableError(
            f"MLflow's records cannot be written: {error.strerror or error}.",
            where=str(folder),
            remedy="Make the folder writable, or choose another home with --home.",
        ) from error


@contextmanager
def _environment_kept(*names: str) -> Iterator[None]:
    """Put these variables back: MLflow exports its address, and a command started for another home would follow it."""
    before = {name: os.environ.get(name) for name in names}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
