"""The registry's tables as typed ORM classes. Alembic alone creates them; a test holds the two equal."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from onnxyard.lifecycle.candidate import Outcome
from onnxyard.lifecycle.deployment import DeploymentKind, ReplicaState, Role
from onnxyard.lifecycle.drift import DriftVerdict
from onnxyard.lifecycle.gate import GateOutcome
from onnxyard.lifecycle.version import ArtifactRole, VersionStatus
from onnxyard.ports.unit_of_work import RunState
from onnxyard.registry.columns import Measurement, UtcDateTime, words

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names of constraints, so that a migration can name what it drops."""

Name = String(200)
Digest = String(64)


class Base(DeclarativeBase):
    """What all tables share: names of constraints, and how a Python type becomes a column."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        float: Double(),
        str: Text(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        ArtifactRole: words(ArtifactRole),
        DeploymentKind: words(DeploymentKind),
        DriftVerdict: words(DriftVerdict),
        GateOutcome: words(GateOutcome),
        Outcome: words(Outcome),
        ReplicaState: words(ReplicaState),
        Role: words(Role),
        RunState: words(RunState),
        VersionStatus: words(VersionStatus),
    }


class ModelRow(Base):
    """A model's name and the number its latest version got: the row that concurrent registrations queue on."""

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    last_number: Mapped[int]
    created_at: Mapped[datetime]


class VersionRow(Base):
    """A model version; never updated."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("model_id", "number"),
        UniqueConstraint("model_id", "key"),
        CheckConstraint("verdict <> 'live'", name="verdict_is_final"),
        CheckConstraint("number > 0", name="number_counts_from_one"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey(ModelRow.id))
    number: Mapped[int]
    key: Mapped[str] = mapped_column(String(200))
    verdict: Mapped[VersionStatus]
    signature: Mapped[dict[str, Any]]
    model_signature: Mapped[dict[str, Any]]
    framework: Mapped[str]
    source_digest: Mapped[str]
    data_fingerprint: Mapped[str]
    git_commit: Mapped[str | None]
    stage_keys: Mapped[list[Any]]
    mlflow_run_id: Mapped[str | None]
    mlflow_model_version: Mapped[str | None]
    created_at: Mapped[datetime]

    model: Mapped[ModelRow] = relationship(lazy="joined", innerjoin=True)
    artifacts: Mapped[list[VersionArtifactRow]] = relationship(lazy="selectin", order_by="VersionArtifactRow.position")
    candidates: Mapped[list[CandidateRow]] = relationship(lazy="selectin", order_by="CandidateRow.position")
    gates: Mapped[list[GateRow]] = relationship(lazy="selectin", order_by="GateRow.position")


class VersionArtifactRow(Base):
    """One artifact of a version: its role, target and the manifest's digest."""

    __tablename__ = "version_artifacts"
    __table_args__ = (UniqueConstraint("version_id", "role", "target"), Index(None, "digest"))

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey(VersionRow.id))
    position: Mapped[int]
    role: Mapped[ArtifactRole]
    target: Mapped[str] = mapped_column(Name)
    digest: Mapped[str] = mapped_column(Digest)
    opset: Mapped[int | None]
    ir_version: Mapped[int | None]
    recipe: Mapped[str | None] = mapped_column(Name)
    precision: Mapped[str | None] = mapped_column(Name)
    runtime: Mapped[str | None] = mapped_column(Name)
    provider: Mapped[str | None] = mapped_column(Name)
    threads: Mapped[int | None]
    options: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    files: Mapped[list[VersionArtifactFileRow]] = relationship(lazy="selectin", order_by="VersionArtifactFileRow.path")


class VersionArtifactFileRow(Base):
    """One file of a version's artifact."""

    __tablename__ = "artifact_files"

    artifact_id: Mapped[int] = mapped_column(ForeignKey(VersionArtifactRow.id), primary_key=True)
    path: Mapped[str] = mapped_column(String(1000), primary_key=True)
    sha256: Mapped[str] = mapped_column(Digest)
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class CandidateRow(Base):
    """One candidate of a version's search, measured or not; never updated.

    Its files' bytes lie in the artifact store under `digest`. The columns `p50_ms`, `p99_ms` and `size_bytes` repeat
    what `latencies` and `files` say, for queries.
    """

    __tablename__ = "candidates"
    __table_args__ = (UniqueConstraint("version_id", "target", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey(VersionRow.id))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(500))
    recipe: Mapped[str] = mapped_column(Name)
    target: Mapped[str] = mapped_column(Name)
    runtime: Mapped[str] = mapped_column(Name)
    provider: Mapped[str] = mapped_column(Name)
    threads: Mapped[int]
    options: Mapped[dict[str, Any]]
    outcome: Mapped[Outcome]
    note: Mapped[str]
    precision: Mapped[str] = mapped_column(Name)
    portable: Mapped[bool]
    digest: Mapped[str | None] = mapped_column(Digest)
    files: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    quality: Mapped[float | None]
    drop_high: Mapped[float | None]
    p50_ms: Mapped[float | None]
    p99_ms: Mapped[float | None]
    latencies: Mapped[list[Any]]
    ratio: Mapped[float | None]
    ratio_low: Mapped[float | None]
    ratio_high: Mapped[float | None]
    cost: Mapped[float | None]
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    load_ms: Mapped[float | None]
    placement: Mapped[dict[str, Any]]
    facts: Mapped[dict[str, Any]]
    pareto: Mapped[bool]
    chosen: Mapped[bool]


class GateRow(Base):
    """One gate's verdict on a version."""

    __tablename__ = "gates"
    __table_args__ = (UniqueConstraint("version_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey(VersionRow.id))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(Name)
    observed: Mapped[float] = mapped_column(Measurement, nullable=True)
    threshold: Mapped[float]
    outcome: Mapped[GateOutcome]
    unit: Mapped[str]
    bound: Mapped[float | None]
    rows: Mapped[int | None] = mapped_column(BigInteger)
    detail: Mapped[str]


class EndpointRow(Base):
    """An endpoint's model and present generation: the one row that a deployment compares and swaps."""

    __tablename__ = "endpoints"
    __table_args__ = (CheckConstraint("generation > 0", name="generation_counts_from_one"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    model_id: Mapped[int] = mapped_column(ForeignKey(ModelRow.id))
    generation: Mapped[int]
    created_at: Mapped[datetime]


class DeploymentRow(Base):
    """One role at one generation of an endpoint; appended, never changed (a trigger refuses it)."""

    __tablename__ = "deployments"
    __table_args__ = (UniqueConstraint("endpoint_id", "generation", "role"), Index(None, "version_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey(EndpointRow.id))
    generation: Mapped[int]
    role: Mapped[Role]
    version_id: Mapped[int] = mapped_column(ForeignKey(VersionRow.id))
    target: Mapped[str] = mapped_column(Name)
    kind: Mapped[DeploymentKind]
    actor: Mapped[str]
    reason: Mapped[str]
    created_at: Mapped[datetime]


class ReplicaRow(Base):
    """What a serving replica last said of itself for one endpoint."""

    __tablename__ = "replicas"
    __table_args__ = (UniqueConstraint("replica", "endpoint_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    replica: Mapped[str] = mapped_column(Name)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey(EndpointRow.id))
    url: Mapped[str]
    generation: Mapped[int]
    state: Mapped[ReplicaState]
    version: Mapped[int | None]
    digest: Mapped[str | None]
    provider: Mapped[str | None]
    runtime: Mapped[str | None]
    precision: Mapped[str | None]
    message: Mapped[str]
    seen_at: Mapped[datetime]


class WindowRow(Base):
    """One drift comparison of an endpoint's traffic."""

    __tablename__ = "windows"
    __table_args__ = (UniqueConstraint("endpoint_id", "first_sequence", "last_sequence"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey(EndpointRow.id))
    version_id: Mapped[int] = mapped_column(ForeignKey(VersionRow.id))
    first_sequence: Mapped[int] = mapped_column(BigInteger)
    last_sequence: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    rows: Mapped[int] = mapped_column(BigInteger)
    verdict: Mapped[DriftVerdict]
    report: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    detail: Mapped[str]
    created_at: Mapped[datetime]

    version: Mapped[VersionRow] = relationship(lazy="raise")
    columns: Mapped[list[WindowColumnRow]] = relationship(lazy="selectin", order_by="WindowColumnRow.position")


class WindowColumnRow(Base):
    """One column's comparison in a window."""

    __tablename__ = "window_columns"
    __table_args__ = (UniqueConstraint("window_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    window_id: Mapped[int] = mapped_column(ForeignKey(WindowRow.id))
    position: Mapped[int]
    name: Mapped[str]
    test: Mapped[str]
    p_value: Mapped[float] = mapped_column(Measurement, nullable=True)
    q_value: Mapped[float] = mapped_column(Measurement, nullable=True)
    effect: Mapped[float] = mapped_column(Measurement, nullable=True)
    drifted: Mapped[bool]


class RunRow(Base):
    """One lifecycle run. Its model may have no version yet, so it is named and not referred to."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "model", "started_at"),)

    id: Mapped[str] = mapped_column(Name, primary_key=True)
    model: Mapped[str] = mapped_column(Name)
    state: Mapped[RunState]
    process: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    version: Mapped[int | None]
    detail: Mapped[str]


class AuditRow(Base):
    """One change of state; appended, never changed (a trigger refuses it). Sequences have no gaps."""

    __tablename__ = "audit"

    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]


class OutboxRow(Base):
    """A message to the world; undelivered while `delivered_at` is NULL."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_pending",
            "topic",
            "number",
            sqlite_where=text("delivered_at IS NULL"),
            postgresql_where=text("delivered_at IS NULL"),
        ),
    )

    number: Mapped[int] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(Name)
    key: Mapped[str] = mapped_column(Name)
    payload: Mapped[dict[str, Any]]
    attempts: Mapped[int]
    last_error: Mapped[str]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
