"""What a replica was told to serve at one endpoint, small enough to be remembered in a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from onnxyard.errors import UnsupportedModelError
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.signature import Signature
from onnxyard.lifecycle.version import ArtifactRole

if TYPE_CHECKING:
    from onnxyard.lifecycle.deployment import Deployment
    from onnxyard.lifecycle.version import ModelVersion

DEFAULT_SETUP = Setup("onnxruntime", "CPUExecutionProvider", threads=1)
"""For a version that does not say: requests run side by side, one per core, which loses nothing on small models."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One role of one generation with everything that loading needs.

    Attributes:
        endpoint: The endpoint's name.
        generation: The generation that says so.
        role: As `champion`.
        model: The model's name.
        version: The version's number.
        target: Which of the version's models.
        signature: Of the endpoint: raw inputs and answers.
        model_signature: Of the graph.
        model_digest: The MODEL artifact's digest.
        setup: How it was measured and must be run.
        golden_set: The GOLDEN_SET artifact's digest.
        reference: The REFERENCE artifact's digest.
        processing: The PROCESSING artifact's digest; None where raw inputs are the model's.
    """

    endpoint: str
    generation: int
    role: str
    model: str
    version: int
    target: str
    signature: Signature
    model_signature: Signature
    model_digest: str
    setup: Setup
    golden_set: str
    reference: str
    processing: str | None

    @classmethod
    def of(cls, deployment: Deployment, version: ModelVersion) -> Self:
        """Join a deployment with its version.

        Raises:
            UnsupportedModelError: the version has no model for the target, or nothing to rehearse it with.
        """

        def digest(role: ArtifactRole, target: str = "") -> str:
            found = version.artifact(role, target)
            if found is None:
                name = f"{role.value}@{target}" if target else role.value
                raise UnsupportedModelError(f"{deployment.model}@{version.number} has no {name} artifact.")
            return found.artifact.digest

        processing = version.artifact(ArtifactRole.PROCESSING)
        model = version.artifact(ArtifactRole.MODEL, deployment.target)
        execution = None if model is None else model.execution
        return cls(
            endpoint=deployment.endpoint,
            generation=deployment.generation,
            role=deployment.role.value,
            model=deployment.model,
            version=version.number,
            target=deployment.target,
            signature=version.draft.signature,
            model_signature=version.draft.model_signature,
            model_digest=digest(ArtifactRole.MODEL, deployment.target),
            setup=DEFAULT_SETUP if execution is None else execution.setup,
            golden_set=digest(ArtifactRole.GOLDEN_SET),
            reference=digest(ArtifactRole.REFERENCE),
            processing=None if processing is None else processing.artifact.digest,
        )

    @property
    def digests(self) -> tuple[str, ...]:
        """Every artifact that serving it needs."""
        needed = (self.model_digest, self.golden_set, self.reference, self.processing)
        return tuple(digest for digest in needed if digest is not None)

    def document(self) -> dict[str, Any]:
        """As JSON-compatible values."""
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """The inverse of `document`. Raises KeyError, TypeError or ValueError for anything else."""
        signatures = {name: Signature.of_document(document[name]) for name in ("signature", "model_signature")}
        return cls(**{**document, **signatures, "setup": Setup(**document["setup"])})
