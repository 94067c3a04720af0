"""MLflow as the recorder."""

from __future__ import annotations

import logging
import re
import time
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any

from onnxyard.errors import StorageFullError, TransientError
from onnxyard.recording.mlflow_connection import MlflowConnection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlflow import MlflowClient
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema

    from onnxyard.lifecycle.signature import Signature, TensorSpec

LONGEST_TEXT = 6000
"""MLflow refuses longer parameters (characters)."""


_EXTERNAL_FROM_BYTES = 1 << 30


class MlflowRecorder:
    """Runs, metrics, files and models in an MLflow database or server.

    A database keeps its files in `artifacts`; a server keeps them where it was told to.

    Args:
        tracking_uri: `sqlite:///FILE`, another database URL, or a server's `http(s)://`.
        artifacts: The folder for files when `tracking_uri` is a database.
    """

    def __init__(self, tracking_uri: str, *, artifacts: Path) -> None:
        self._mlflow = MlflowConnection(tracking_uri, artifacts=artifacts)

    def check(self) -> None:
        """Raise UnreachableError when recording would not work now; imports no MLflow to find out."""
        self._mlflow.check()

    @contextmanager
    def lifecycle(self, *, model: str, tags: Mapping[str, str]) -> Iterator[_MlflowLifecycle]:
        """A parent run in the experiment named after the model; KILLED where the user interrupts it."""
        with self._mlflow.told():
            experiment = self._experiment(model)
            run = self._mlflow.client.create_run(experiment, run_name=model, tags=dict(tags))
        with self._ended(run.info.run_id):
            yield _MlflowLifecycle(self, experiment, run.info.run_id)

    def set_alias(self, *, model: str, alias: str, version: str) -> None:
        """Point `models:/model@alias` at the version."""
        with self._mlflow.told():
            self._mlflow.client.set_registered_model_alias(model, alias, version)

    def _experiment(self, model: str) -> str:
        found = self._mlflow.client.get_experiment_by_name(model)
        if found is not None:
            return str(found.experiment_id)
        location = None if self._mlflow.uri.startswith("http") else (self._mlflow.artifacts / model).as_uri()
        return self._mlflow.client.create_experiment(model, artifact_location=location)

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
                with self._mlflow.told():
                    self._mlflow.client.set_terminated(run_id, status)
            except TransientError as error:
                if status == "FINISHED":
                    raise
                # The block's own error is the one to tell (of a full disk it tells the same); MLflow keeps showing the
                # run as running.
                level = logging.INFO if isinstance(error, StorageFullError) else logging.WARNING
                logging.getLogger(__name__).log(level, "MLflow went away before run %s was ended", run_id)


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
        with recorder._mlflow.told():  # noqa: SLF001 - one adapter in three classes
            run = recorder._mlflow.client.create_run(self._experiment, run_name=name, tags=tags)  # noqa: SLF001 - likewise
        with recorder._ended(run.info.run_id):  # noqa: SLF001 - likewise
            yield _MlflowStage(recorder, run.info.run_id)


class _MlflowStage:
    """A nested run."""

    def __init__(self, recorder: MlflowRecorder, run_id: str) -> None:
        self._recorder = recorder
        self._run_id = run_id

    @contextmanager
    def _client(self) -> Iterator[MlflowClient]:
        with self._recorder._mlflow.told():  # noqa: SLF001 - one adapter in three classes
            yield self._recorder._mlflow.client  # noqa: SLF001 - likewise

    def params(self, values: Mapping[str, object]) -> None:
        with self._client() as client:
            from mlflow.entities import Param  # noqa: PLC0415 - see MlflowConnection.client

            client.log_batch(self._run_id, params=[Param(_name(k), str(v)[:LONGEST_TEXT]) for k, v in values.items()])

    def metrics(self, values: Mapping[str, float], *, step: int | None = None) -> None:
        with self._client() as client:
            from mlflow.entities import Metric  # noqa: PLC0415 - see MlflowConnection.client

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
            import mlflow.onnx  # noqa: PLC0415 - see MlflowConnection.client
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
                # One protobuf message ends at 2 GiB; smaller models stay one file, which is easier to carry around.
                save_as_external_data=model_file.stat().st_size + _beside(model_file) >= _EXTERNAL_FROM_BYTES,
            )
            self._registered_model(client, name)
            version = client.create_model_version(
                name, logged.model_uri, run_id=self._run_id, tags=dict(tags), model_id=logged.model_id
            )
            return str(version.version)

    @staticmethod
    def _registered_model(client: MlflowClient, name: str) -> None:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see MlflowConnection.client

        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _beside(model_file: Path) -> int:
    """Bytes of the external data that lie beside a model."""
    return sum(file.stat().st_size for file in model_file.parent.iterdir() if file.is_file() and file != model_file)


def _mlflow_signature(signature: Signature) -> ModelSignature:
    from mlflow.models import ModelSignature  # noqa: PLC0415 - see MlflowConnection.client

    return ModelSignature(inputs=_schema(signature.inputs), outputs=_schema(signature.outputs))


def _schema(specs: tuple[TensorSpec, ...]) -> Schema:
    """MLflow writes a dynamic axis as -1, and every dtype as NumPy's; bfloat16 is none of those: shown as float32."""
    import numpy as np  # noqa: PLC0415 - see MlflowConnection.client
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
