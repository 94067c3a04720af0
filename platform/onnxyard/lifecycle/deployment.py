"""Deployments: which version answers at an endpoint, in which role, since which generation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """The part a version plays at an endpoint."""

    CHAMPION = "champion"
    CANARY = "canary"
    SHADOW = "shadow"


class DeploymentKind(StrEnum):
    """What brought a generation about."""

    DEPLOY = "deploy"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """What the deploy stage wants; an operation applies it with compare-and-swap.

    Attributes:
        endpoint: The endpoint's name.
        model: The model's name.
        version: The version's number within the model.
        target: Which of the version's artifacts serves.
        expected_generation: The generation the plan was made against; 0 for an endpoint that does not exist yet.
        kind: Deploy, promote or rollback.
        reason: One sentence for the audit.
        role: The part the version shall play.
    """

    endpoint: str
    model: str
    version: int
    target: str
    expected_generation: int
    kind: DeploymentKind
    reason: str
    role: Role = Role.CHAMPION


@dataclass(frozen=True, slots=True)
class Deployment:
    """One role at one generation of an endpoint; rows are appended, never changed."""

    endpoint: str
    generation: int
    role: Role
    model: str
    version: int
    target: str
    kind: DeploymentKind
    actor: str
    reason: str
    created_at: datetime


class ReplicaState(StrEnum):
    """How a serving replica stands to the generation it was told to serve."""

    LOADING = "loading"
    SERVING = "serving"
    REFUSED = "refused"
    """The new version failed a check; the replica keeps the old one and says why."""


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What a serving replica says of itself for one endpoint, at run time.

    Attributes:
        replica: The replica's name (host and port).
        endpoint: The endpoint's name.
        url: Where the replica answers, as `http://127.0.0.1:8080`.
        generation: The generation it serves now; 0 before the first.
        state: Loading, serving or refused.
        version: The version it serves now; None before the first.
        digest: The served model artifact's digest; None before the first.
        provider: The execution provider that really runs it, as read from the session.
        runtime: As `onnxruntime 1.32.0`.
        precision: As `fp32`, `int8`.
        message: Why it refused; empty otherwise.
        seen_at: When it said so (UTC).
    """

    replica: str
    endpoint: str
    url: str
    generation: int
    state: ReplicaState
    version: int | None
    digest: str | None
    provider: str | None
    runtime: str | None
    precision: str | None
    message: str
    seen_at: datetime
