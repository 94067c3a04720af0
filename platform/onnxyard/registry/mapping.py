"""Between the tables' rows and the domain's frozen types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxyard.lifecycle.artifact import Artifact, ArtifactFile
from onnxyard.lifecycle.deployment import Deployment, ReplicaReport
from onnxyard.lifecycle.drift import ColumnDrift
from onnxyard.lifecycle.gate import Gate
from onnxyard.lifecycle.lineage import Lineage
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.signature import Signature
from onnxyard.lifecycle.version import Execution, ModelVersion, VersionArtifact, VersionDraft
from onnxyard.lifecycle.window import Window
from onnxyard.ports.unit_of_work import AuditEntry, LifecycleRun, OutboxMessage
from onnxyard.registry.candidates import candidate_of, candidate_row, files_document, files_of, known
from onnxyard.registry.tables import (
    AuditRow,
    DeploymentRow,
    GateRow,
    OutboxRow,
    ReplicaRow,
    RunRow,
    VersionArtifactFileRow,
    VersionArtifactRow,
    VersionRow,
    WindowColumnRow,
    WindowRow,
)

if TYPE_CHECKING:
    from datetime import datetime


def version_row(draft: VersionDraft, *, model_id: int, number: int, at: datetime) -> VersionRow:
    """A draft with its number, and everything that hangs on it, ready to be added."""
    lineage = draft.lineage
    return VersionRow(
        model_id=model_id,
        number=number,
        key=draft.key,
        verdict=draft.verdict,
        signature=draft.signature.document(),
        model_signature=draft.model_signature.document(),
        framework=lineage.framework,
        source_digest=lineage.source_digest,
        data_fingerprint=lineage.data_fingerprint,
        git_commit=lineage.git_commit,
        stage_keys=[list(pair) for pair in lineage.stage_keys],
        mlflow_run_id=draft.mlflow_run_id,
        mlflow_model_version=draft.mlflow_model_version,
        created_at=at,
        artifacts=[_artifact_row(i, artifact) for i, artifact in enumerate(draft.artifacts)],
        candidates=[candidate_row(i, candidate) for i, candidate in enumerate(draft.candidates)],
        gates=[_gate_row(i, gate) for i, gate in enumerate(draft.gates)],
    )


def version_of(row: VersionRow) -> ModelVersion:
    """The version that a row and its relations tell of."""
    return ModelVersion(
        number=row.number,
        created_at=row.created_at,
        draft=VersionDraft(
            model=row.model.name,
            key=row.key,
            verdict=row.verdict,
            signature=Signature.of_document(row.signature),
            model_signature=Signature.of_document(row.model_signature),
            lineage=Lineage(
                framework=row.framework,
                source_digest=row.source_digest,
                data_fingerprint=row.data_fingerprint,
                git_commit=row.git_commit,
                stage_keys=tuple((stage, key) for stage, key in row.stage_keys),
            ),
            artifacts=tuple(_artifact_of(artifact) for artifact in row.artifacts),
            candidates=tuple(candidate_of(candidate) for candidate in row.candidates),
            gates=tuple(
                Gate(g.name, g.observed, g.threshold, g.outcome, g.unit, g.bound, g.rows, g.detail) for g in row.gates
            ),
            mlflow_run_id=row.mlflow_run_id,
            mlflow_model_version=row.mlflow_model_version,
        ),
    )


def deployment_of(row: DeploymentRow, *, endpoint: str, model: str, version: int) -> Deployment:
    """The deployment a row tells of, with the names its keys stand for."""
    return Deployment(
        endpoint, row.generation, row.role, model, version, row.target, row.kind, row.actor, row.reason, row.created_at
    )


def replica_values(report: ReplicaReport) -> dict[str, Any]:
    """A report as column values, but for the endpoint and the replica that it is filed under."""
    return {
        "url": report.url,
        "generation": report.generation,
        "state": report.state,
        "version": report.version,
        "digest": report.digest,
        "provider": report.provider,
        "runtime": report.runtime,
        "precision": report.precision,
        "message": report.message,
        "seen_at": report.seen_at,
    }


def replica_of(row: ReplicaRow, *, endpoint: str) -> ReplicaReport:
    """The report a row tells of."""
    return ReplicaReport(
        replica=row.replica,
        endpoint=endpoint,
        url=row.url,
        generation=row.generation,
        state=row.state,
        version=row.version,
        digest=row.digest,
        provider=row.provider,
        runtime=row.runtime,
        precision=row.precision,
        message=row.message,
        seen_at=row.seen_at,
    )


def window_row(window: Window, *, endpoint_id: int, version_id: int) -> WindowRow:
    """A window and its columns, ready to be added."""
    return WindowRow(
        endpoint_id=endpoint_id,
        version_id=version_id,
        first_sequence=window.first_sequence,
        last_sequence=window.last_sequence,
        started_at=window.started_at,
        ended_at=window.ended_at,
        rows=window.rows,
        verdict=window.verdict,
        report=None if window.report is None else files_document(window.report),
        detail=window.detail,
        created_at=window.created_at,
        columns=[
            WindowColumnRow(
                position=i,
                name=c.column,
                test=c.test,
                p_value=c.p_value,
                q_value=c.q_value,
                effect=c.effect,
                drifted=c.drifted,
            )
            for i, c in enumerate(window.columns)
        ],
    )


def window_of(row: WindowRow, *, endpoint: str, model: str, version: int) -> Window:
    """The window a row tells of."""
    return Window(
        endpoint=endpoint,
        model=model,
        version=version,
        first_sequence=row.first_sequence,
        last_sequence=row.last_sequence,
        started_at=row.started_at,
        ended_at=row.ended_at,
        rows=row.rows,
        verdict=row.verdict,
        columns=tuple(ColumnDrift(c.name, c.test, c.p_value, c.q_value, c.effect, c.drifted) for c in row.columns),
        report=None if row.report is None else files_of(row.report),
        detail=row.detail,
        created_at=row.created_at,
    )


def run_of(row: RunRow) -> LifecycleRun:
    """The run a row tells of."""
    return LifecycleRun(
        row.id, row.model, row.state, row.process, row.started_at, row.ended_at, row.version, row.detail
    )


def audit_of(row: AuditRow) -> AuditEntry:
    """The entry a row tells of."""
    return AuditEntry(row.sequence, row.at, row.actor, row.action, row.subject, row.detail)


def message_of(row: OutboxRow) -> OutboxMessage:
    """The message a row tells of."""
    return OutboxMessage(row.number, row.topic, row.key, row.payload, row.attempts, row.last_error, row.created_at)


def _artifact_row(position: int, artifact: VersionArtifact) -> VersionArtifactRow:
    execution = artifact.execution
    return VersionArtifactRow(
        position=position,
        role=artifact.role,
        target=artifact.target,
        digest=artifact.artifact.digest,
        opset=artifact.opset,
        ir_version=artifact.ir_version,
        recipe=None if execution is None else execution.recipe,
        precision=None if execution is None else execution.precision,
        runtime=None if execution is None else execution.setup.runtime,
        provider=None if execution is None else execution.setup.provider,
        threads=None if execution is None else execution.setup.threads,
        options=None if execution is None else dict(execution.setup.options),
        files=[
            VersionArtifactFileRow(path=file.path, sha256=file.sha256, size_bytes=file.size_bytes)
            for file in artifact.artifact.files
        ],
    )


def _artifact_of(row: VersionArtifactRow) -> VersionArtifact:
    files = tuple(ArtifactFile(file.path, file.sha256, file.size_bytes) for file in row.files)
    return VersionArtifact(row.role, row.target, Artifact(files), row.opset, row.ir_version, _execution_of(row))


def _execution_of(row: VersionArtifactRow) -> Execution | None:
    if (
        row.recipe is None
        or row.precision is None
        or row.runtime is None
        or row.provider is None
        or row.threads is None
    ):
        return None
    return Execution(row.recipe, row.precision, Setup(row.runtime, row.provider, row.threads, row.options or {}))


def _gate_row(position: int, gate: Gate) -> GateRow:
    return GateRow(
        position=position,
        name=gate.name,
        observed=gate.observed,
        threshold=gate.threshold,
        outcome=gate.outcome,
        unit=gate.unit,
        bound=known(gate.bound),
        rows=gate.rows,
        detail=gate.detail,
    )
