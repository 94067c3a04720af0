"""Go back to the champion before."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from onnxyard.errors import ConflictError, NotFoundError
from onnxyard.lifecycle.deployment import Deployment, DeploymentKind, DeploymentPlan, Role
from onnxyard.operations.deploy import apply_plan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from onnxyard.ports.deployment_target import DeploymentTarget
    from onnxyard.ports.unit_of_work import UnitOfWorkFactory


def roll_back(
    unit_of_work: UnitOfWorkFactory,
    target: DeploymentTarget,
    *,
    endpoint: str,
    actor: str,
    reason: str,
    now: datetime,
) -> Deployment:
    """Make the previous different champion live again, as a new generation.

    Rolling back twice goes back two champions: whoever is on call never lands on the version just left.

    Raises:
        NotFoundError: no such endpoint.
        ConflictError: there is no champion to go back to, or somebody changed the endpoint meanwhile.
        TransientError: the registry or the target did not answer.
    """
    with unit_of_work() as work:
        generation = work.deployments.generation(endpoint)
        history = work.deployments.history(endpoint)
        known = work.deployments.endpoints()
    if generation == 0:
        near = get_close_matches(endpoint, known, n=3)
        named = f"Did you mean {' or '.join(near)}?" if near else f"Known endpoints: {', '.join(known)}."
        raise NotFoundError(
            f"There is no endpoint {endpoint}.",
            remedy=named if known else "Nothing is deployed yet: onnxyard run DIR",
            endpoint=endpoint,
        )
    line = line_of_champions(reversed(history))
    if len(line) < 2:
        raise ConflictError(
            f"Endpoint {endpoint} has no earlier champion to go back to.",
            where=f"endpoint {endpoint}",
            remedy="Name the version you want: onnxyard promote MODEL@VERSION",
            endpoint=endpoint,
        )
    before, now_live = line[-2], line[-1]
    plan = DeploymentPlan(
        endpoint=endpoint,
        model=before.model,
        version=before.version,
        target=before.target,
        expected_generation=generation,
        kind=DeploymentKind.ROLLBACK,
        reason=reason or f"back from {now_live.model}@{now_live.version}",
    )
    return apply_plan(unit_of_work, target, plan, actor=actor, now=now)


def line_of_champions(history: Iterable[Deployment]) -> list[Deployment]:
    """The champions that led to the present one, oldest first; a rollback takes off what it left behind.

    Args:
        history: An endpoint's deployments, oldest first, and with no generation left out.
    """
    line: list[Deployment] = []
    for deployment in history:
        if deployment.role is not Role.CHAMPION or (line and _same(line[-1], deployment)):
            continue
        if deployment.kind is DeploymentKind.ROLLBACK:
            while line and not _same(line[-1], deployment):
                line.pop()
        if not line or not _same(line[-1], deployment):
            line.append(deployment)
    return line


def _same(one: Deployment, other: Deployment) -> bool:
    return (one.model, one.version, one.target) == (other.model, other.version, other.target)
