"""MLflow as the recorder: the one file that imports mlflow, and only when something is really recorded."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from onnxyard.disk import full_disk
from onnxyard.errors import InvalidRequestError, NotFoundError, OnnxyardError, TransientError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow import MlflowClient
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema

    from onnxyard.lifecycle.signature import Signature, TensorSpec

PROBE_SECONDS = 3.0
"""How long a server may take to say that it is there, before a lifecycle starts."""
LONGEST_TEXT = 6000
"""MLflow refuses longer parameters (characters)."""
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


class MlflowRecorder:
    """Runs, metrics, files and models in an MLflow database or server.

    A database keeps its files in `artifacts`; a server keeps them where it was told to.

    Args:
        tracking_uri: `sqlite:///FILE`, another database URL, or a server's `http(s)://`.
        artifacts: The folder for files when `tracking_uri` is a database.
    """

    def __init__(self, tracking_uri: str, *, artifacts: Path) -> None:
        self._uri = tracking_uri.rstrip("/") if tracking_uri.startswith("http") else tracking_uri
        self._artifacts = artifacts
        self._opened: MlflowClient | None = None

    def check(self) -> None:
        """Raise UnreachableError when recording would not work now; imports no MLflow to find out."""
        scheme = urlsplit(self._uri).scheme
        if scheme in {"http", "https"}:
            self._probe()
        elif scheme == "sqlite":
            for folder in (_sqlite_file(self._uri).parent, self._artifacts):
                _must_be_writable(folder)
        else:
            with self._told():
                self._client.search_experiments(max_results=1)

    @contextmanager
    def lifecycle(self, *, model: str, tags: Mapping[str, str]) -> Iterator[_MlflowLifecycle]:
        """A parent run in the experiment named after the model; KILLED where the user interrupts it."""
        with self._told():
            experiment = self._experiment(model)
            run = self._client.create_run(experiment, run_name=model, tags=dict(tags))
        with self._ended(run.info.run_id):
            yield _MlflowLifecycle(self, experiment, run.info.run_id)

    def set_alias(self, *, model: str, alias: str, version: str) -> None:
        """Point `models:/model@alias` at the version."""
        with self._told():
            self._client.set_registered_model_alias(model, alias, version)

    @property
    def _client(self) -> MlflowClient:
        if self._opened is None:
            os.environ.update(_ENVIRONMENT)  # MLflow has no other way in, and reads it when it is imported
            if not self._uri.startswith("http"):
                # Or else its database store makes `./mlruns` for a default that no experiment of ours uses.
                os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = self._artifacts.as_uri()
            if self._uri.startswith("sqlite"):
                _sqlite_file(self._uri).parent.mkdir(parents=True, exist_ok=True)
            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.WARNING)
            import mlflow  # noqa: PLC0415 - takes seconds, and an unchanged run records nothing

            logging.getLogger("mlflow").setLevel(logging.WARNING)  # importing it set INFO
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # tracebacks of what it raises anyway
            with _environment_kept("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
                mlflow.set_tracking_uri(self._uri)  # `onnx.log_model` takes no client
                mlflow.set_registry_uri(self._uri)
            self._opened = mlflow.MlflowClient(self._uri, self._uri)
        return self._opened

    def _experiment(self, model: str) -> str:
        found = self._client.get_experiment_by_name(model)
        if found is not None:
            return str(found.experiment_id)
        location = None if self._uri.startswith("http") else (self._artifacts / model).as_uri()
        return self._client.create_experiment(model, artifact_location=location)

    def _probe(self) -> None:
        try:
            with urllib.request.urlopen(f"{self._uri}/health", timeout=PROBE_SECONDS):  # noqa: S310 - http(s), see check
                return
        except (OSError, ValueError) as error:  # URLError and time-outs are OSErrors
            reason = getattr(error, "reason", error)
            raise self._unreachable(str(reason)) from error

    def _unreachable(self, reason: str) -> UnreachableError:
        return UnreachableError(
            f"MLflow does not answer: {reason}.",
            where=self._uri,
            remedy="Start it, or correct ONNXYARD_MLFLOW_TRACKING_URI; unset it to keep the records under home.",
            url=self._uri,
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of MLflow and its HTTP client, told in our words."""
        try:
            yield
        except OnnxyardError:
            raise
        except Exception as error:
            if (full := full_disk(error)) is not None:
                full.where = full.where or self._uri
                raise full from error
            if isinstance(error, OSError):  # requests' exceptions are OSErrors
                raise self._unreachable(_first_line(error)) from error
            from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see `_client`

            if not isinstance(error, MlflowException):
                raise
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}:
                raise NotFoundError(f"MLflow knows no such thing: {_first_line(error)}", where=self._uri) from error
            if error.error_code in {"INVALID_PARAMETER_VALUE", "BAD_REQUEST"}:
                raise InvalidRequestError(f"MLflow refused it: {_first_line(error)}", where=self._uri) from error
            raise self._unreachable(_first_line(error)) from error

    @contextmanager
    def _ended(self, run_id: str) -> Iterator[None]:
        """Say how the run ended, whatever happened inside."""
        status = "FINISHED"
        try:
            yield
        except Exception:
            status = "FAILED"
            raise
        except BaseException:
            status = "KILLED"
            raise
        finally:
            try:
                with self._told():
                    self._client.set_terminated(run_id, status)
            except TransientError:
                if status == "FINISHED":
                    raise
                # The block's own error is the one to tell; MLflow keeps showing the run as running.
                logging.getLogger(__name__).warning("MLflow went away before run %s was ended", run_id)


class _MlflowLifecycle:
    """A parent run."""

    def __init__(self, recorder: MlflowRecorder, experiment: str, run_id: str) -> None:
        self._recorder = recorder
        self._experiment = experiment
        self._run_id = run_id

    @property
    def run_id(self) -> str:
        return self._run_id

    @contextmanager
    def stage(self, name: str) -> Iterator[_MlflowStage]:
        """A run nested in this one."""
        recorder = self._recorder
        tags = {"mlflow.parentRunId": self._run_id, "onnxyard.stage": name}
        with recorder._told():  # noqa: SLF001 - one adapter in three classes
            run = recorder._client.create_run(self._experiment, run_name=name, tags=tags)  # noqa: SLF001 - likewise
        with recorder._ended(run.info.run_id):  # noqa: SLF001 - likewise
            yield _MlflowStage(recorder, run.info.run_id)


class _MlflowStage:
    """A nested run."""

    def __init__(self, recorder: MlflowRecorder, run_id: str) -> None:
        self._recorder = recorder
        self._run_id = run_id

    @contextmanager
    def _client(self) -> Iterator[MlflowClient]:
        with self._recorder._told():  # noqa: SLF001 - one adapter in three classes
            yield self._recorder._client  # noqa: SLF001 - likewise

    def params(self, values: Mapping[str, object]) -> None:
        with self._client() as client:
            from mlflow.entities import Param  # noqa: PLC0415 - see MlflowRecorder._client

            client.log_batch(self._run_id, params=[Param(_name(k), str(v)[:LONGEST_TEXT]) for k, v in values.items()])

    def metrics(self, values: Mapping[str, float], *, step: int | None = None) -> None:
        with self._client() as client:
            from mlflow.entities import Metric  # noqa: PLC0415 - see MlflowRecorder._client

            now = int(time.time() * 1000)
            client.log_batch(self._run_id, [Metric(_name(k), float(v), now, step or 0) for k, v in values.items()])

    def tags(self, values: Mapping[str, str]) -> None:
        with self._client() as client:
            for key, value in values.items():
                client.set_tag(self._run_id, _name(key), value)

    def file(self, path: Path, *, folder: str = "") -> None:
        with self._client() as client:
            client.log_artifact(self._run_id, str(path), folder or None)

    def model(self, model_file: Path, *, name: str, signature: Signature, tags: Mapping[str, str]) -> str:
        """Log and register the model. The requirements are stated: MLflow's own inference of them takes 6-16 s.

        Raises ArtifactCorruptError for a file that is no model.
        """
        with self._client() as client:
            import mlflow.onnx  # noqa: PLC0415 - see MlflowRecorder._client
            import onnx  # noqa: PLC0415 - only this method reads a model

            from onnxyard.runtimes.graph import read_graph  # noqa: PLC0415 - likewise

            read_graph(model_file)  # refuses what is no model
            graph = onnx.load(model_file)
            # Made here, or else MLflow files it under the experiment "Default".
            experiment = client.get_run(self._run_id).info.experiment_id
            place = client.create_logged_model(experiment, name, source_run_id=self._run_id, tags=dict(tags))
            logged = mlflow.onnx.log_model(
                graph,
                model_id=place.model_id,
                run_id=self._run_id,
                signature=_mlflow_signature(signature),
                pip_requirements=[f"{each}=={metadata.version(each)}" for each in ("onnx", "onnxruntime", "numpy")],
                save_as_external_data=False,
            )
            self._registered_model(client, name)
            version = client.create_model_version(
                name, logged.model_uri, run_id=self._run_id, tags=dict(tags), model_id=logged.model_id
            )
            return str(version.version)

    @staticmethod
    def _registered_model(client: MlflowClient, name: str) -> None:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see MlflowRecorder._client

        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _mlflow_signature(signature: Signature) -> ModelSignature:
    from mlflow.models import ModelSignature  # noqa: PLC0415 - see MlflowRecorder._client

    return ModelSignature(inputs=_schema(signature.inputs), outputs=_schema(signature.outputs))


def _schema(specs: tuple[TensorSpec, ...]) -> Schema:
    """MLflow writes a dynamic axis as -1, and every dtype as NumPy's; bfloat16 is none of those: shown as float32."""
    import numpy as np  # noqa: PLC0415 - see MlflowRecorder._client
    from mlflow.types.schema import Schema, TensorSpec  # noqa: PLC0415 - likewise

    from onnxyard.tensors.dtypes import numpy_dtype  # noqa: PLC0415 - likewise

    def dtype(name: str) -> np.dtype[Any]:
        if name == "STRING":
            return np.dtype(str)
        kind = numpy_dtype(name)
        return kind if kind.kind in "biufc" else np.dtype(np.float32)

    return Schema(
        [
            TensorSpec(dtype(spec.dtype), tuple(-1 if isinstance(n, str) else n for n in spec.shape), spec.name)
            for spec in specs
        ]
    )


def _name(name: str) -> str:
    """MLflow allows letters, digits and `_ - . : /` and spaces in names: `size@cpu` becomes `size/cpu`."""
    return re.sub(r"[^\w.\- :/]", "/", name)


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
