"""A model version: what was made, from what, how it was judged, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.candidate import Candidate
from onnxyard.lifecycle.gate import Gate
from onnxyard.lifecycle.lineage import Lineage
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.signature import Signature


class VersionStatus(StrEnum):
    """VALIDATED and REJECTED are the gates' verdict and never change; LIVE is read off the current deployments."""

    VALIDATED = "validated"
    REJECTED = "rejected"
    LIVE = "live"


class ArtifactRole(StrEnum):
    """What an artifact of a version is for."""

    MODEL = "model"
    """Per target: `model.onnx`, perhaps with external data."""
    GOLDEN_SET = "golden_set"
    """Raw inputs and the source framework's answers."""
    REFERENCE = "reference"
    """The reference profile that monitoring compares windows with."""
    PROCESSING = "processing"
    """The project's preprocess and postprocess as one Python file (numpy and the standard library only)."""
    FITTED = "fitted"
    """The source framework's weights."""
    SIDECAR = "sidecar"
    """Tensor name to module path and source line, written at export."""


@dataclass(frozen=True, slots=True)
class Execution:
    """How a MODEL was made for its target, and how it was measured and is to be run there.

    Attributes:
        recipe: The chosen recipe, as `int8-qdq`.
        precision: As `fp32` or `int8`.
        setup: The runtime and how it is set up.
    """

    recipe: str
    precision: str
    setup: Setup


@dataclass(frozen=True, slots=True)
class VersionArtifact:
    """One artifact of a version.

    Attributes:
        role: What it is for.
        target: The target's name for MODEL artifacts, empty for all others.
        artifact: The manifest.
        opset: Default-domain opset of a MODEL; None otherwise.
        ir_version: IR version of a MODEL; None otherwise.
        execution: How a MODEL is run; None otherwise.
    """

    role: ArtifactRole
    target: str
    artifact: Artifact
    opset: int | None = None
    ir_version: int | None = None
    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """All that validate leaves behind, before the registry gives it a number.

    Attributes:
        model: The model's name.
        key: Digest over everything the version was made from: registering the same key twice gives the same version.
        verdict: VALIDATED or REJECTED.
        signature: Of the endpoint: the raw input before preprocess, the answer after postprocess.
        model_signature: Of the ONNX graph itself.
        lineage: Where it came from.
        artifacts: At least one MODEL.
        candidates: All that optimize measured.
        gates: All that validate judged.
        mlflow_run_id: Pointer to the parent run.
        mlflow_model_version: The version of the model's name in MLflow's registry.
    """

    model: str
    key: str
    verdict: VersionStatus
    signature: Signature
    model_signature: Signature
    lineage: Lineage
    artifacts: tuple[VersionArtifact, ...]
    candidates: tuple[Candidate, ...]
    gates: tuple[Gate, ...]
    mlflow_run_id: str | None = None
    mlflow_model_version: str | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered draft with its number (1, 2, ... within the model) and its time (UTC)."""

    number: int
    created_at: datetime
    draft: VersionDraft

    def artifact(self, role: ArtifactRole, target: str = "") -> VersionArtifact | None:
        """The artifact of that role (and target, for MODEL), or None."""
        return next((a for a in self.draft.artifacts if a.role is role and a.target == target), None)

    @property
    def models(self) -> tuple[VersionArtifact, ...]:
        """The MODEL artifacts, one per target."""
        return tuple(a for a in self.draft.artifacts if a.role is ArtifactRole.MODEL)
