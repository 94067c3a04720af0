"""What the API says: typed documents, made from the lifecycle's types."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator

if TYPE_CHECKING:
    from onnxyard.lifecycle.artifact import Artifact
    from onnxyard.lifecycle.deployment import Deployment, ReplicaReport
    from onnxyard.lifecycle.passport import Passport
    from onnxyard.lifecycle.signature import Signature
    from onnxyard.lifecycle.version import ModelVersion, VersionStatus
    from onnxyard.lifecycle.window import Window
    from onnxyard.operations.status import EndpointStatus


class FromLifecycle(BaseModel):
    """A document whose fields are those of a lifecycle type."""

    @classmethod
    def of(cls, value: object) -> Self:
        """Read the fields off `value`."""
        return cls.model_validate(value, from_attributes=True)


class TensorDocument(FromLifecycle):
    """One input or output; `dtype` is the ONNX name, a dynamic axis is its name.

    `missing` says that NaN, or an empty text, may stand for a missing value.
    """

    name: str
    dtype: str
    shape: list[int | str]
    missing: bool


class SignatureDocument(FromLifecycle):
    """What goes in and comes out."""

    inputs: list[TensorDocument]
    outputs: list[TensorDocument]


class FileDocument(FromLifecycle):
    """One file of an artifact."""

    path: str
    sha256: str
    size_bytes: int


class SetupDocument(FromLifecycle):
    """How a runtime is set up."""

    runtime: str
    provider: str
    threads: int
    options: dict[str, str]


class ExecutionDocument(FromLifecycle):
    """How a model was made and is to be run."""

    recipe: str
    precision: str
    setup: SetupDocument


class ArtifactDocument(BaseModel):
    """One artifact of a version; opset and IR version are a model's."""

    role: str
    target: str
    digest: str
    files: list[FileDocument]
    opset: int | None
    ir_version: int | None
    execution: ExecutionDocument | None


def _digest(artifact: Artifact | None) -> str | None:
    return artifact.digest if artifact is not None else None


def _finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity: null."""
    return value if value is not None and math.isfinite(value) else None


Finite = Annotated[float | None, BeforeValidator(_finite)]


class RatioDocument(FromLifecycle):
    """A latency as a share of the baseline's, with its 95 % interval; a tie where that spans 1."""

    value: Finite
    low: Finite
    high: Finite
    tie: bool


class LatencyDocument(FromLifecycle):
    """One batch size's calls, in milliseconds."""

    batch_size: int
    p50_ms: Finite
    low_ms: Finite
    high_ms: Finite
    p99_ms: Finite
    cpu_ms: Finite
    calls: int
    ratio: RatioDocument


class CandidateDocument(FromLifecycle):
    """One recipe's model, run in one way on one target, as far as it came; `artifact` is its files' digest."""

    name: str
    recipe: str
    target: str
    setup: SetupDocument
    outcome: str
    chosen: bool
    pareto: bool
    note: str
    precision: str
    portable: bool
    artifact: Annotated[str | None, BeforeValidator(_digest)]
    size_bytes: int | None
    quality: Finite
    drop_high: Finite
    p50_ms: Finite
    p99_ms: Finite
    latencies: list[LatencyDocument]
    ratio: RatioDocument | None
    cost: Finite
    memory_bytes: int | None
    load_ms: Finite
    placement: dict[str, int]
    facts: dict[str, str]


class GateDocument(FromLifecycle):
    """One gate's verdict with its evidence."""

    name: str
    observed: float
    threshold: float
    outcome: str
    passed: bool
    unit: str
    bound: float | None
    rows: int | None
    detail: str


class DeploymentDocument(FromLifecycle):
    """One role of one generation."""

    endpoint: str
    generation: int
    role: str
    model: str
    version: int
    target: str
    kind: str
    actor: str
    reason: str
    created_at: datetime


class ReplicaDocument(FromLifecycle):
    """What a replica says of itself at run time."""

    replica: str
    url: str
    generation: int
    state: str
    version: int | None
    digest: str | None
    provider: str | None
    runtime: str | None
    precision: str | None
    message: str
    seen_at: datetime


class ColumnDocument(FromLifecycle):
    """One column's comparison."""

    column: str
    test: str
    p_value: float
    q_value: float
    effect: float
    drifted: bool


class WindowDocument(BaseModel):
    """One drift window."""

    endpoint: str
    model: str
    version: int
    first_sequence: int
    last_sequence: int
    started_at: datetime
    ended_at: datetime
    created_at: datetime
    rows: int
    verdict: str
    detail: str
    columns: list[ColumnDocument]
    report_digest: str | None

    @classmethod
    def of(cls, window: Window) -> Self:
        """The document of a window."""
        plain = {name: getattr(window, name) for name in cls.model_fields if name not in {"columns", "report_digest"}}
        columns = [ColumnDocument.of(column) for column in window.columns]
        return cls(**plain, columns=columns, report_digest=_digest(window.report))


class EndpointDocument(BaseModel):
    """An endpoint now."""

    endpoint: str
    generation: int
    deployments: list[DeploymentDocument]
    replicas: list[ReplicaDocument]
    last_window: WindowDocument | None

    @classmethod
    def of(cls, status: EndpointStatus) -> Self:
        """The document of an endpoint's status."""
        return cls(
            endpoint=status.endpoint,
            generation=status.generation,
            deployments=_deployments(status.deployments),
            replicas=_replicas(status.replicas),
            last_window=WindowDocument.of(status.last_window) if status.last_window else None,
        )


class VersionDocument(BaseModel):
    """A version in a list."""

    model: str
    version: int
    status: str
    created_at: datetime
    gates_passed: int
    gates: int

    @classmethod
    def of(cls, version: ModelVersion, status: VersionStatus) -> Self:
        """The document of a version."""
        gates = version.draft.gates
        return cls(
            model=version.draft.model,
            version=version.number,
            status=status.value,
            created_at=version.created_at,
            gates_passed=sum(gate.passed for gate in gates),
            gates=len(gates),
        )


class ModelDocument(BaseModel):
    """A model with its versions, newest first."""

    model: str
    versions: list[VersionDocument]


class PassportDocument(BaseModel):
    """All that is known of a version, on one page."""

    model: str
    version: int
    status: str
    key: str
    created_at: datetime
    signature: SignatureDocument
    model_signature: SignatureDocument
    lineage: dict[str, Any]
    artifacts: list[ArtifactDocument]
    candidates: list[CandidateDocument]
    gates: list[GateDocument]
    mlflow_run_id: str | None
    mlflow_model_version: str | None
    deployments: list[DeploymentDocument]
    replicas: list[ReplicaDocument]

    @classmethod
    def of(cls, passport: Passport) -> Self:
        """The document of a passport."""
        draft = passport.version.draft
        return cls(
            model=draft.model,
            version=passport.version.number,
            status=passport.status.value,
            key=draft.key,
            created_at=passport.version.created_at,
            signature=_signature(draft.signature),
            model_signature=_signature(draft.model_signature),
            lineage={
                "framework": draft.lineage.framework,
                "source_digest": draft.lineage.source_digest,
                "data_fingerprint": draft.lineage.data_fingerprint,
                "git_commit": draft.lineage.git_commit,
                "stage_keys": dict(draft.lineage.stage_keys),
            },
            artifacts=[
                ArtifactDocument(
                    role=each.role.value,
                    target=each.target,
                    digest=each.artifact.digest,
                    files=[FileDocument.of(file) for file in each.artifact.files],
                    opset=each.opset,
                    ir_version=each.ir_version,
                    execution=None if each.execution is None else ExecutionDocument.of(each.execution),
                )
                for each in draft.artifacts
            ],
            candidates=[CandidateDocument.of(candidate) for candidate in draft.candidates],
            gates=[GateDocument.of(gate) for gate in draft.gates],
            mlflow_run_id=draft.mlflow_run_id,
            mlflow_model_version=draft.mlflow_model_version,
            deployments=_deployments(passport.deployments),
            replicas=_replicas(passport.replicas),
        )


def _signature(signature: Signature) -> SignatureDocument:
    return SignatureDocument.of(signature)


def _deployments(deployments: tuple[Deployment, ...]) -> list[DeploymentDocument]:
    return [DeploymentDocument.of(deployment) for deployment in deployments]


def _replicas(replicas: tuple[ReplicaReport, ...]) -> list[ReplicaDocument]:
    return [ReplicaDocument.of(replica) for replica in replicas]
