"""What is live, for whoever is on call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.lifecycle.deployment import Deployment, ReplicaReport, Role
from onnxyard.lifecycle.window import Window

if TYPE_CHECKING:
    from datetime import datetime

    from onnxyard.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """An endpoint now.

    Attributes:
        endpoint: Its name.
        generation: Its present generation.
        deployments: The roles of this generation, champion first.
        replicas: What each replica last said, newest first.
        last_window: The latest drift window; None before the first.
    """

    endpoint: str
    generation: int
    deployments: tuple[Deployment, ...]
    replicas: tuple[ReplicaReport, ...]
    last_window: Window | None

    @property
    def champion(self) -> Deployment | None:
        """Who answers; None for an endpoint with no champion."""
        return next((d for d in self.deployments if d.role is Role.CHAMPION), None)


def endpoints(unit_of_work: UnitOfWorkFactory) -> tuple[EndpointStatus, ...]:
    """Every endpoint, by name. Raises UnreachableError."""
    with unit_of_work() as work:
        return tuple(_endpoint(work, endpoint) for endpoint in work.deployments.endpoints())


def _endpoint(work: UnitOfWork, endpoint: str) -> EndpointStatus:
    deployments = work.deployments.current(endpoint)
    return EndpointStatus(
        endpoint=endpoint,
        # Of what was read, and not read again: somebody may deploy between two reads.
        generation=max((d.generation for d in deployments), default=0),
        deployments=deployments,
        replicas=work.replicas.of_endpoint(endpoint),
        last_window=next(iter(work.windows.of_endpoint(endpoint, limit=1)), None),
    )


def live_at(unit_of_work: UnitOfWorkFactory, endpoint: str, at: datetime) -> tuple[Deployment, ...]:
    """What was live at `at`: the roles of the generation then, champion first; empty before the first generation."""
    with unit_of_work() as work:
        history = work.deployments.history(endpoint)
    then = max((d.generation for d in history if d.created_at <= at), default=None)
    return tuple(d for d in history if d.generation == then)
