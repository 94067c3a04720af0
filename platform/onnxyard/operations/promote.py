"""Promote a version by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.lifecycle.deployment import Deployment, DeploymentKind, DeploymentPlan, Role
from onnxyard.operations.deploy import apply_plan, refuse_rejected
from onnxyard.operations.passports import find_version

if TYPE_CHECKING:
    from datetime import datetime

    from onnxyard.lifecycle.version import ModelVersion
    from onnxyard.ports.deployment_target import DeploymentTarget
    from onnxyard.ports.unit_of_work import UnitOfWorkFactory

DEFAULT_TARGET = "cpu"


def promote(
    unit_of_work: UnitOfWorkFactory,
    target: DeploymentTarget,
    *,
    model: str,
    version: int,
    endpoint: str | None = None,
    actor: str,
    reason: str,
    now: datetime,
) -> Deployment:
    """Make a version champion of an endpoint (the one named after the model by default; made where it is missing).

    A version that is champion already is left alone: the deployment that made it so is returned.
    Raises as `apply_plan`.
    """
    endpoint = endpoint or model
    with unit_of_work() as work:
        chosen = find_version(work, model, version)
        refuse_rejected(chosen)
        generation = work.deployments.generation(endpoint)
        champion = next((d for d in work.deployments.current(endpoint) if d.role is Role.CHAMPION), None)
    if champion is not None and (champion.model, champion.version) == (model, version):
        return champion
    plan = DeploymentPlan(
        endpoint=endpoint,
        model=model,
        version=version,
        target=_target(chosen, champion),
        expected_generation=generation,
        kind=DeploymentKind.PROMOTE,
        reason=reason,
    )
    return apply_plan(unit_of_work, target, plan, actor=actor, now=now)


def _target(version: ModelVersion, champion: Deployment | None) -> str:
    """The target that serves at the endpoint now, else cpu, else the first the version was made for."""
    made = [artifact.target for artifact in version.models]
    wanted = (champion.target if champion is not None else None, DEFAULT_TARGET)
    return next((target for target in wanted if target in made), made[0])
