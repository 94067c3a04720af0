"""Deploy: decide, and leave the doing to an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.lifecycle.deployment import Deployment, DeploymentKind, DeploymentPlan, Role
from onnxyard.lifecycle.handover import DeployResult

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.stages.deploy.request import DeployRequest

BY_HAND = frozenset({DeploymentKind.PROMOTE, DeploymentKind.ROLLBACK})


def run(request: DeployRequest, workspace: Path) -> DeployResult:  # noqa: ARG001 - a stage's shape; a plan is no file
    """Plan to make the version the endpoint's champion.

    No plan where it is that already, nor where a person replaced it (a rollback, a promotion): a schedule that runs the
    lifecycle again must not bring back what somebody took down. Promoting it does.
    """
    subject = f"{request.model}@{request.version}"
    champions = [d for d in request.history if d.role is Role.CHAMPION]
    if champions and _is_it(champions[0], request):
        return DeployResult(None, f"{subject} is live at {request.endpoint} already")
    successor = _successor(champions, request)
    if successor is not None and successor.kind in BY_HAND:
        return DeployResult(
            None,
            f"{successor.actor} replaced {subject} at {request.endpoint} ({successor.kind}: {successor.reason}); "
            f"bring it back with: onnxyard promote {subject}",
            held=True,
        )
    plan = DeploymentPlan(
        endpoint=request.endpoint,
        model=request.model,
        version=request.version,
        target=request.target,
        expected_generation=request.generation,
        kind=DeploymentKind.DEPLOY,
        reason="passed every gate",
    )
    return DeployResult(plan, f"{subject} becomes champion of {request.endpoint}")


def _successor(champions: list[Deployment], request: DeployRequest) -> Deployment | None:
    """Who came after the version's last time as champion; None where it never was."""
    last = next((index for index, each in enumerate(champions) if _is_it(each, request)), 0)
    return champions[last - 1] if last > 0 else None


def _is_it(deployment: Deployment, request: DeployRequest) -> bool:
    return (deployment.model, deployment.version, deployment.target) == (
        request.model,
        request.version,
        request.target,
    )
