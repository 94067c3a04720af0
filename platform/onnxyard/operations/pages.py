"""What the pages show, read in one transaction so that the parts agree with each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.lifecycle.deployment import Deployment, ReplicaReport, Role
from onnxyard.lifecycle.version import ModelVersion, VersionStatus
from onnxyard.lifecycle.window import Window
from onnxyard.ports.unit_of_work import AuditEntry

if TYPE_CHECKING:
    from onnxyard.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory


AUDIT_LOOKBACK = 500
"""Audit entries looked through for changes, among which a busy monitor records its windows."""


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint now, and how its traffic went.

    Attributes:
        endpoint: Its name.
        generation: Its present generation.
        deployments: The roles of this generation, champion first.
        replicas: What each replica last said, newest first.
        windows: The latest drift windows, newest first.
    """

    endpoint: str
    generation: int
    deployments: tuple[Deployment, ...]
    replicas: tuple[ReplicaReport, ...]
    windows: tuple[Window, ...]

    @property
    def champion(self) -> Deployment | None:
        """Who answers; None for an endpoint with no champion."""
        return next((d for d in self.deployments if d.role is Role.CHAMPION), None)


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version and its status now."""

    version: ModelVersion
    status: VersionStatus


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model with its latest versions, newest first.

    Attributes:
        name: The model's name.
        versions: The latest versions, and every live one however old.
        total: How many versions there are.
    """

    name: str
    versions: tuple[VersionView, ...]
    total: int

    @property
    def featured(self) -> VersionView:
        """The version whose candidates are shown: the live one, else the newest."""
        return next((v for v in self.versions if v.status is VersionStatus.LIVE), self.versions[0])


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole yard on one page.

    Attributes:
        endpoints: By name.
        models: By name.
        changes: The latest changes of state, newest first.
    """

    endpoints: tuple[EndpointView, ...]
    models: tuple[ModelView, ...]
    changes: tuple[AuditEntry, ...]


def overview(unit_of_work: UnitOfWorkFactory, *, windows: int = 30, versions: int = 8, changes: int = 12) -> Overview:
    """Read everything a page shows. Raises UnreachableError.

    Args:
        unit_of_work: The registry.
        windows: Most drift windows per endpoint.
        versions: Most versions per model, beside the live ones.
        changes: Most entries of the history; recorded windows are no change and have their own place.
    """
    with unit_of_work() as work:
        endpoints = tuple(_endpoint(work, name, windows) for name in work.deployments.endpoints())
        live = {(d.model, d.version) for endpoint in endpoints for d in endpoint.deployments}
        models = tuple(_model(work, name, live, versions) for name in work.versions.models())
        entries = [e for e in work.audit.entries(limit=AUDIT_LOOKBACK) if e.action != "window.record"]
        return Overview(endpoints, tuple(m for m in models if m.versions), tuple(entries[:changes]))


def _endpoint(work: UnitOfWork, name: str, windows: int) -> EndpointView:
    return EndpointView(
        endpoint=name,
        generation=work.deployments.generation(name),
        deployments=work.deployments.current(name),
        replicas=work.replicas.of_endpoint(name),
        windows=work.windows.of_endpoint(name, limit=windows),
    )


def _model(work: UnitOfWork, name: str, live: set[tuple[str, int]], versions: int) -> ModelView:
    found = work.versions.of_model(name)
    shown = tuple(
        VersionView(version, VersionStatus.LIVE if (name, version.number) in live else version.draft.verdict)
        for index, version in enumerate(found)
        if index < versions or (name, version.number) in live
    )
    return ModelView(name, shown, len(found))
