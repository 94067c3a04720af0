"""The composition root: settings in, ports filled with adapters out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.settings import Settings

if TYPE_CHECKING:
    from onnxyard.ports.artifact_store import ArtifactStore
    from onnxyard.ports.deployment_target import DeploymentTarget
    from onnxyard.ports.model_origin import ModelOrigin
    from onnxyard.ports.recorder import Recorder
    from onnxyard.ports.unit_of_work import UnitOfWorkFactory
    from onnxyard.project.project import Project


@dataclass(frozen=True)
class Yard:
    """An installation, opened. Each adapter is imported when it is first asked for, so that a command pays for no more
    than it uses and names the extra that it lacks.
    """  # noqa: D205

    settings: Settings

    @cached_property
    def store(self) -> ArtifactStore:
        """The artifact store: a local folder under home."""
        from onnxyard.artifacts.local import LocalArtifactStore  # noqa: PLC0415

        return LocalArtifactStore(self.settings.artifacts)

    @cached_property
    def unit_of_work(self) -> UnitOfWorkFactory:
        """The registry. The embedded SQLite one is migrated when opened; a server's is only ever migrated on request.

        Raises:
            UnreachableError: the database does not answer.
            ConflictError: the server's schema is not at the version this code needs.
        """
        from onnxyard.registry.database import open_registry  # noqa: PLC0415

        return open_registry(self.settings.database_url)

    @cached_property
    def recorder(self) -> Recorder:
        """MLflow."""
        from onnxyard.recording.mlflow_recorder import MlflowRecorder  # noqa: PLC0415

        return MlflowRecorder(self.settings.mlflow_tracking_uri, artifacts=self.settings.mlflow_artifacts)

    def origin(self, project: Project) -> ModelOrigin:
        """Where the finished model that a project names is fetched from: an MLflow registry, or a zoo's mirror."""
        if str(project.file.project.onnx).startswith("models:/"):
            from onnxyard.recording.mlflow_models import MlflowModels  # noqa: PLC0415

            return MlflowModels(self.settings.mlflow_tracking_uri, artifacts=self.settings.mlflow_artifacts)
        from onnxyard.zoo.mirror import OFFICIAL, ZooMirror  # noqa: PLC0415

        named = project.file.project.zoo
        if named is None or "://" in named:
            return ZooMirror(named or OFFICIAL)
        return ZooMirror(str(project.root / Path(named).expanduser()))

    def acquired(self, project: Project) -> Project:
        """The project, told where home is, and with the finished model that it names in a registry or a zoo."""
        from onnxyard.operations.acquire import acquired  # noqa: PLC0415

        return replace(acquired(project, self.origin, self.settings.downloads), home=self.settings.home)

    @cached_property
    def deployment_target(self) -> DeploymentTarget:
        """Where plans take effect: our own serving, which follows the registry."""
        from onnxyard.delivery.onnxyard_serving import OnnxyardServing  # noqa: PLC0415

        return OnnxyardServing()
