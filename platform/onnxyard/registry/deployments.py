"""Endpoints and their append-only generations in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Select, case, select, update

from onnxyard.errors import ConflictError, NotFoundError
from onnxyard.lifecycle.deployment import Deployment, Role
from onnxyard.registry.inserts import insert_if_absent
from onnxyard.registry.mapping import deployment_of
from onnxyard.registry.tables import DeploymentRow, EndpointRow, ModelRow, VersionRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

_ROLES_IN_ORDER = case({role: place for place, role in enumerate(Role)}, value=DeploymentRow.role)


class SqlDeployments:
    """The port `Deployments`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def endpoints(self) -> tuple[str, ...]:
        return tuple(sorted(self._session.scalars(select(EndpointRow.name))))

    def generation(self, endpoint: str) -> int:
        return self._session.scalar(select(EndpointRow.generation).where(EndpointRow.name == endpoint)) or 0

    def advance(self, endpoint: str, *, model: str, expected: int, at: datetime) -> int:
        model_id = self._session.scalar(select(ModelRow.id).where(ModelRow.name == model))
        if model_id is None:
            raise NotFoundError(f"There is no model {model}.", model=model)
        if expected == 0:
            swapped = insert_if_absent(
                self._session, EndpointRow, name=endpoint, model_id=model_id, generation=1, created_at=at
            )
        else:
            swapped = (
                self._session.execute(
                    update(EndpointRow)
                    .where(
                        EndpointRow.name == endpoint,
                        EndpointRow.generation == expected,
                        EndpointRow.model_id == model_id,
                    )
                    .values(generation=expected + 1)
                    .returning(EndpointRow.generation)
                ).first()
                is not None
            )
        if not swapped:
            raise self._refusal(endpoint, model=model, expected=expected)
        return expected + 1

    def _refusal(self, endpoint: str, *, model: str, expected: int) -> ConflictError:
        present = self._session.execute(
            select(EndpointRow.generation, ModelRow.name).join(ModelRow).where(EndpointRow.name == endpoint)
        ).first()
        generation, serves = (0, model) if present is None else (present.generation, present.name)
        if serves != model:
            return ConflictError(
                f"Endpoint {endpoint} serves the model {serves}; {model} needs an endpoint of its own.",
                where=f"endpoint {endpoint}",
                remedy="Name another endpoint: clients of this one rely on its model's signature.",
                endpoint=endpoint,
                model=serves,
            )
        return ConflictError(
            f"Endpoint {endpoint} is at generation {generation}, not {expected}: somebody else changed it first.",
            where=f"endpoint {endpoint}",
            remedy="Look at what is live now (onnxyard status) and repeat the command if it is still wanted.",
            endpoint=endpoint,
            generation=generation,
            expected=expected,
        )

    def add(self, deployment: Deployment) -> None:
        endpoint_id = self._session.scalar(select(EndpointRow.id).where(EndpointRow.name == deployment.endpoint))
        version_id = self._session.scalar(
            select(VersionRow.id)
            .join(ModelRow)
            .where(ModelRow.name == deployment.model, VersionRow.number == deployment.version)
        )
        if endpoint_id is None:
            raise NotFoundError(f"There is no endpoint {deployment.endpoint}.", endpoint=deployment.endpoint)
        if version_id is None:
            raise NotFoundError(f"There is no version {deployment.model}@{deployment.version}.", model=deployment.model)
        self._session.add(
            DeploymentRow(
                endpoint_id=endpoint_id,
                generation=deployment.generation,
                role=deployment.role,
                version_id=version_id,
                target=deployment.target,
                kind=deployment.kind,
                actor=deployment.actor,
                reason=deployment.reason,
                created_at=deployment.created_at,
            )
        )
        self._session.flush()

    def current(self, endpoint: str) -> tuple[Deployment, ...]:
        return self._read(_deployments(endpoint).where(DeploymentRow.generation == EndpointRow.generation), endpoint)

    def history(self, endpoint: str) -> tuple[Deployment, ...]:
        return self._read(_deployments(endpoint), endpoint)

    def _read(self, query: Select[DeploymentRow, str, int], endpoint: str) -> tuple[Deployment, ...]:
        ordered = query.order_by(DeploymentRow.generation.desc(), _ROLES_IN_ORDER)
        return tuple(
            deployment_of(row, endpoint=endpoint, model=model, version=number)
            for row, model, number in self._session.execute(ordered)
        )


def _deployments(endpoint: str) -> Select[DeploymentRow, str, int]:
    return (
        select(DeploymentRow, ModelRow.name, VersionRow.number)
        .join(EndpointRow, DeploymentRow.endpoint_id == EndpointRow.id)
        .join(VersionRow, DeploymentRow.version_id == VersionRow.id)
        .join(ModelRow, VersionRow.model_id == ModelRow.id)
        .where(EndpointRow.name == endpoint)
    )
