"""Where this installation keeps and finds things: one frozen `Settings`, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT_FILE = "onnxyard.toml"
HOME_FOLDER = ".onnxyard"
HOME = "ONNXYARD_HOME"
"""The environment variable that names it."""


def find_project(start: Path) -> Path | None:
    """The nearest folder at or above `start` that holds an `onnxyard.toml`; None where there is none."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / PROJECT_FILE).is_file()), None)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that depends on the installation and not on a project.

    Attributes:
        home: The folder that holds all state (registry, artifacts, MLflow, Prefect, logs); nothing else is written.
        database_url: SQLAlchemy URL of the registry; SQLite under home unless told otherwise.
        mlflow_tracking_uri: MLflow's tracking and model registry; SQLite under home unless told otherwise.
        prefect_api_url: A Prefect server; None runs flows without one.
    """

    home: Path
    database_url: str
    mlflow_tracking_uri: str
    prefect_api_url: str | None = None

    @classmethod
    def read(
        cls, *, home: Path | None = None, start: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> Settings:
        """Read the settings once.

        Home is `home` (the `--home` option), else ONNXYARD_HOME, else `.onnxyard` beside the nearest
        `onnxyard.toml` at or above `start` (the working folder by default), else `.onnxyard` in `start`.
        ONNXYARD_DATABASE_URL, ONNXYARD_MLFLOW_TRACKING_URI (else MLFLOW_TRACKING_URI) and
        ONNXYARD_PREFECT_API_URL (else PREFECT_API_URL) name servers; without them all state is files under home.
        """
        environ = os.environ if environ is None else environ
        start = Path.cwd() if start is None else start
        if home is None:
            stated = environ.get(HOME)
            home = Path(stated) if stated else (find_project(start) or start) / HOME_FOLDER
        home = home.expanduser().resolve()

        def first(*names: str) -> str | None:
            return next((environ[name] for name in names if environ.get(name)), None)

        return cls(
            home=home,
            database_url=first("ONNXYARD_DATABASE_URL") or f"sqlite:///{home / 'registry.sqlite'}",
            mlflow_tracking_uri=first("ONNXYARD_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI")
            or f"sqlite:///{home / 'mlflow.sqlite'}",
            prefect_api_url=first("ONNXYARD_PREFECT_API_URL", "PREFECT_API_URL"),
        )

    @property
    def artifacts(self) -> Path:
        """The content-addressed store's folder."""
        return self.home / "artifacts"

    @property
    def mlflow_artifacts(self) -> Path:
        """Where MLflow keeps its files when no MLflow server is named."""
        return self.home / "mlflow-artifacts"

    @property
    def prefect(self) -> Path:
        """PREFECT_HOME: Prefect's database, profiles and persisted results."""
        return self.home / "prefect"

    @property
    def results(self) -> Path:
        """Results of stages by key, so that a command finds what a run made."""
        return self.home / "results"

    @property
    def toolchains(self) -> Path:
        """Environments of tools that cannot share ours, one folder each."""
        return self.home / "toolchains"

    @property
    def shelf(self) -> Path:
        """What optimize has made by content, and how far its searches came; safe to delete when nothing runs."""
        return self.home / "shelf"

    @property
    def downloads(self) -> Path:
        """Models fetched from a registry or a zoo, by sha256."""
        return self.home / "downloads"

    @property
    def workspaces(self) -> Path:
        """Scratch folders of running stages; safe to delete when nothing runs."""
        return self.home / "workspaces"

    @property
    def predictions(self) -> Path:
        """The embedded prediction log, an SQLite file owned by serving."""
        return self.home / "predictions.sqlite"

    @property
    def reports(self) -> Path:
        """Reports to open by hand: of drift by endpoint, of searches as MODEL/optimize; the store has the originals."""
        return self.home / "reports"

    @property
    def logs(self) -> Path:
        """Log files of the processes that `onnxyard up` and `onnxyard tour` start."""
        return self.home / "logs"

    @property
    def replicas(self) -> Path:
        """Serving replicas' caches: the last good artifacts of each, so that a replica starts without a registry."""
        return self.home / "replicas"
