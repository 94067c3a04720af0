"""Deploy: decide, and leave the doing to an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.lifecycle.deployment import DeploymentKind, DeploymentPlan, Role
from onnxyard.lifecycle.handover import DeployResult

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.stages.deploy.request import DeployRequest


def run(request: DeployRequest, workspace: Path) -> DeployResult:  # noqa: ARG001 - a stage's shape; a plan is no file
    """Plan to make the version the endpoint's champion, unless it is that already."""
    champion = next((d for d in request.current if d.role is Role.CHAMPION), None)
    same = champion is not None and (champion.model, champion.version, champion.target) == (
        request.model,
        request.version,
        request.target,
    )
    if same:
        return DeployResult(None, f"{request.model}@{request.version} is live at {request.endpoint} already")
    plan = DeploymentPlan(
        endpoint=request.endpoint,
        model=request.model,
        version=request.version,
        target=request.target,
        expected_generation=request.generation,
        kind=DeploymentKind.DEPLOY,
        reason="passed every gate",
    )
    return DeployResult(plan, f"{request.model}@{request.version} becomes champion of {request.endpoint}")
