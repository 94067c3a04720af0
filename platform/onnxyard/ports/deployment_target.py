"""Where a plan takes effect: our own serving first, a Triton or KServe model repository later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from onnxyard.lifecycle.deployment import Deployment, DeploymentPlan
    from onnxyard.lifecycle.version import ModelVersion


class DeploymentTarget(Protocol):
    """A place that can serve a version."""

    def check(self, version: ModelVersion, plan: DeploymentPlan) -> None:
        """Refuse, before anything is written, a version this place cannot serve (UnsupportedModelError)."""
        ...

    def publish(self, deployment: Deployment) -> None:
        """Tell the place that the registry now says so. Idempotent; raises TransientError to be tried again.

        Our own serving follows the registry by itself, so its adapter has nothing to send.
        """
        ...

    def address(self, endpoint: str) -> str:
        """The URL path an Open Inference Protocol client uses, as `/v2/models/digits`."""
        ...
