"""Models of an MLflow registry: the port `ModelOrigin` for `models:/NAME@ALIAS` and `models:/NAME/VERSION`."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.recording.mlflow_connection import MlflowConnection

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

MODEL_FILE = "model.onnx"


class MlflowModels:
    """An MLflow registry as a place that models come from.

    Args:
        tracking_uri: As for `MlflowConnection`.
        artifacts: Likewise.
    """

    def __init__(self, tracking_uri: str, *, artifacts: Path) -> None:
        self._mlflow = MlflowConnection(tracking_uri, artifacts=artifacts)

    def fetch(self, reference: str, folder: Path) -> str:
        """See the port. Only files of MLflow's `onnx` flavour are taken; nothing is unpickled."""
        name, version, alias = _parsed(reference)
        self._mlflow.check()
        with self._mlflow.told(), TemporaryDirectory(dir=folder.parent, prefix=".mlflow-") as scratch:
            client = self._mlflow.client
            found = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, version)
            exact = f"models:/{name}/{found.version}"
            _take(self._download(found, Path(scratch)), folder, exact)
        return exact

    def _download(self, found: ModelVersion, scratch: Path) -> Path:
        import mlflow.artifacts  # noqa: PLC0415 - see MlflowConnection.client

        uri = self._mlflow.client.get_model_version_download_uri(found.name, found.version)
        return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(scratch), tracking_uri=self._mlflow.uri))


def _take(logged: Path, folder: Path, exact: str) -> None:
    """Copy the ONNX file of a logged model, and the weights beside it, as `model.onnx`."""
    from mlflow.models import Model  # noqa: PLC0415 - see MlflowConnection.client

    flavors = Model.load(str(logged)).flavors
    flavor = flavors.get("onnx")
    if flavor is None or not isinstance(flavor.get("data"), str):
        raise UnsupportedModelError(
            f"{exact} is no ONNX model; MLflow has it as {', '.join(sorted(flavors))}.",
            where=exact,
            remedy="Log it with mlflow.onnx.log_model, or bring its source as a project of that framework.",
        )
    file = (logged / flavor["data"]).resolve()
    if not file.is_relative_to(logged.resolve()) or not file.is_file():
        raise UnsupportedModelError(f"{exact} names an ONNX file that it does not hold.", where=exact)
    described = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json"}
    for beside in file.parent.iterdir():
        if beside.is_file() and beside != file and beside.name not in described:
            shutil.copyfile(beside, folder / beside.name)
    shutil.copyfile(file, folder / MODEL_FILE)


def _parsed(reference: str) -> tuple[str, str, str]:
    """Name, version and alias; the version or the alias is empty."""
    rest = reference.removeprefix("models:/")
    name, at, alias = rest.rpartition("@")
    if at and name and alias and "/" not in rest:
        return name, "", alias
    name, slash, version = rest.rpartition("/")
    if slash and name and version.isdecimal() and "@" not in rest:
        return name, version, ""
    raise InvalidRequestError(
        f"{reference!r} names no model of an MLflow registry.",
        remedy="Write models:/NAME@ALIAS or models:/NAME/VERSION, as models:/digits@champion.",
    )
