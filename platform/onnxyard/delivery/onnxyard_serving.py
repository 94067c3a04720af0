"""Our own serving: replicas follow the registry by themselves, so there is nothing to send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import UnsupportedModelError

if TYPE_CHECKING:
    from onnxyard.lifecycle.deployment import Deployment, DeploymentPlan
    from onnxyard.lifecycle.version import ModelVersion

MODEL_FILE = "model.onnx"
RUNTIMES = ("onnxruntime", "openvino")
"""Those that read ONNX, in the replica's own process."""


class OnnxyardServing:
    """The port `DeploymentTarget` for the serving that comes with Onnxyard."""

    def check(self, version: ModelVersion, plan: DeploymentPlan) -> None:
        """Refuse a version that has no model for the target, or none that a replica would find."""
        subject = f"{version.draft.model}@{version.number}"
        model = next((a for a in version.models if a.target == plan.target), None)
        if model is None:
            made = ", ".join(sorted(a.target for a in version.models)) or "no target at all"
            raise UnsupportedModelError(
                f"{subject} has no model for the target {plan.target}; it was made for {made}.",
                where=f"endpoint {plan.endpoint}",
                remedy="Add the target to the project file and run the project again.",
            )
        if model.execution is not None and model.execution.setup.runtime not in RUNTIMES:
            raise UnsupportedModelError(
                f"The model of {subject} for {plan.target} was made for {model.execution.setup.runtime}; Onnxyard's "
                f"serving runs {' and '.join(RUNTIMES)}.",
                where=f"endpoint {plan.endpoint}",
                remedy=f"Deploy a target whose runtime is {' or '.join(RUNTIMES)}.",
            )
        if all(file.path != MODEL_FILE for file in model.artifact.files):
            raise UnsupportedModelError(
                f"The model of {subject} for {plan.target} holds no {MODEL_FILE}.", where=f"endpoint {plan.endpoint}"
            )

    def publish(self, deployment: Deployment) -> None:
        """Nothing to send: every replica polls the endpoint's generation."""

    def address(self, endpoint: str) -> str:
        return f"/v2/models/{endpoint}"
