"""What the registry knows of a model's versions."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from onnxyard.errors import NotFoundError
from onnxyard.lifecycle.passport import Passport
from onnxyard.lifecycle.version import VersionStatus

if TYPE_CHECKING:
    from onnxyard.lifecycle.version import ModelVersion
    from onnxyard.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory


def passport(unit_of_work: UnitOfWorkFactory, model: str, number: int | None = None) -> Passport:
    """The passport of a version; of the newest where no number is given. Raises NotFoundError, UnreachableError."""
    with unit_of_work() as work:
        version = newest(work, model) if number is None else find_version(work, model, number)
        endpoints = work.deployments.endpoints()
        deployments = [
            deployment
            for endpoint in endpoints
            for deployment in work.deployments.history(endpoint)
            if (deployment.model, deployment.version) == (model, version.number)
        ]
        served_at = {deployment.endpoint for deployment in deployments}
        replicas = tuple(
            report
            for endpoint in endpoints
            if endpoint in served_at
            for report in work.replicas.of_endpoint(endpoint)
            if report.version == version.number
        )
        status = _status(work, version)
    newest_first = sorted(deployments, key=lambda d: (d.created_at, d.generation), reverse=True)
    return Passport(version, status, tuple(newest_first), replicas)


def version_status(unit_of_work: UnitOfWorkFactory, model: str, number: int) -> VersionStatus:
    """Whether a version is live now, else its gates' verdict. Raises NotFoundError, UnreachableError."""
    with unit_of_work() as work:
        return _status(work, find_version(work, model, number))


def versions(unit_of_work: UnitOfWorkFactory, model: str) -> tuple[tuple[ModelVersion, VersionStatus], ...]:
    """All versions of a model with their present status, newest first. Raises NotFoundError, UnreachableError."""
    with unit_of_work() as work:
        found = work.versions.of_model(model)
        if not found:
            raise unknown_model(work, model)
        live = _live(work)
    return tuple((v, VersionStatus.LIVE if (model, v.number) in live else v.draft.verdict) for v in found)


def newest(work: UnitOfWork, model: str) -> ModelVersion:
    """The model's newest version, whatever its verdict. Raises NotFoundError."""
    found = work.versions.of_model(model)
    if not found:
        raise unknown_model(work, model)
    return found[0]


def unknown_model(work: UnitOfWork, model: str) -> NotFoundError:
    """The error for a model that is not there, naming those that are, the nearest first."""
    models = work.versions.models()
    near = get_close_matches(model, models, n=3)
    if near:
        remedy = f"Did you mean {' or '.join(near)}?"
    else:
        remedy = f"Known models: {', '.join(models)}." if models else "None was registered yet: onnxyard run DIR"
    return NotFoundError(f"There is no model {model}.", remedy=remedy, model=model, nearest=near)


def find_version(work: UnitOfWork, model: str, number: int) -> ModelVersion:
    """One version. Raises NotFoundError, naming what there is: the nearest models, or the model's numbers."""
    if model not in work.versions.models():
        raise unknown_model(work, model)
    return work.versions.get(model, number)


def _status(work: UnitOfWork, version: ModelVersion) -> VersionStatus:
    live = (version.draft.model, version.number) in _live(work)
    return VersionStatus.LIVE if live else version.draft.verdict


def _live(work: UnitOfWork) -> set[tuple[str, int]]:
    """Model and number of every version that plays a role at some endpoint now."""
    return {
        (deployment.model, deployment.version)
        for endpoint in work.deployments.endpoints()
        for deployment in work.deployments.current(endpoint)
    }
