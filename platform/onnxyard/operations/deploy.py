"""Apply a plan: the only way an endpoint changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from onnxyard.errors import GateFailedError, InvalidRequestError
from onnxyard.lifecycle.deployment import Deployment, Role
from onnxyard.lifecycle.version import VersionStatus
from onnxyard.operations.aliases import ALIAS_TOPIC, CHAMPION_ALIAS

if TYPE_CHECKING:
    from datetime import datetime

    from onnxyard.lifecycle.deployment import DeploymentPlan
    from onnxyard.lifecycle.version import ModelVersion
    from onnxyard.ports.deployment_target import DeploymentTarget
    from onnxyard.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory


def apply_plan(
    unit_of_work: UnitOfWorkFactory, target: DeploymentTarget, plan: DeploymentPlan, *, actor: str, now: datetime
) -> Deployment:
    """Make the plan's version live in its role, in one transaction: generation, deployment, audit and outbox.

    The other roles of the endpoint go on in the new generation. The target hears of it after the commit.

    Raises:
        NotFoundError: no such version.
        GateFailedError: the version was rejected; `facts["gates"]` names the gates.
        UnsupportedModelError: the target cannot serve it.
        ConflictError: the endpoint is not at the plan's expected generation, or serves another model.
        InvalidRequestError: a canary or shadow where there is no champion.
        TransientError: the registry or the target did not answer.
    """
    with unit_of_work() as work:
        version = work.versions.get(plan.model, plan.version)
        refuse_rejected(version)
        target.check(version, plan)
        before = work.deployments.current(plan.endpoint)
        if plan.role is not Role.CHAMPION and all(d.role is not Role.CHAMPION for d in before):
            raise InvalidRequestError(
                f"Endpoint {plan.endpoint} has no champion that a {plan.role} could stand beside.",
                where=f"endpoint {plan.endpoint}",
                remedy=f"Promote one first: onnxyard promote {plan.model}@{plan.version}",
            )
        generation = work.deployments.advance(
            plan.endpoint, model=plan.model, expected=plan.expected_generation, at=now
        )
        deployment = Deployment(
            endpoint=plan.endpoint,
            generation=generation,
            role=plan.role,
            model=plan.model,
            version=plan.version,
            target=plan.target,
            kind=plan.kind,
            actor=actor,
            reason=plan.reason,
            created_at=now,
        )
        work.deployments.add(deployment)
        for other in before:
            if other.role is not plan.role:
                work.deployments.add(replace(other, generation=generation, created_at=now))
        _record(work, deployment, before=before, version=version, now=now)
        work.commit()
    target.publish(deployment)
    return deployment


def refuse_rejected(version: ModelVersion) -> None:
    """Raise GateFailedError for a version that did not pass its gates."""
    if version.draft.verdict is VersionStatus.VALIDATED:
        return
    subject = f"{version.draft.model}@{version.number}"
    failed = [gate for gate in version.draft.gates if not gate.passed]
    told = "; ".join(
        f"{g.name}: {g.observed:.6g}{g.unit} against {g.threshold:.6g}{g.unit} ({g.outcome})" for g in failed
    )
    raise GateFailedError(
        f"{subject} was rejected and cannot go live{': ' + told if told else ''}.",
        remedy=f"See onnxyard show {subject}; mend the project and run it again.",
        gates=[gate.name for gate in failed],
        version=version.number,
    )


def _record(
    work: UnitOfWork,
    deployment: Deployment,
    *,
    before: tuple[Deployment, ...],
    version: ModelVersion,
    now: datetime,
) -> None:
    """The audit row and the outbox message, in the transaction of the change itself."""
    champion = next((d for d in before if d.role is deployment.role), None)
    work.audit.add(
        at=now,
        actor=deployment.actor,
        action=f"endpoint.{deployment.kind}",
        subject=f"endpoint:{deployment.endpoint}",
        detail={
            "generation": deployment.generation,
            "role": deployment.role.value,
            "model": deployment.model,
            "version": deployment.version,
            "target": deployment.target,
            "before": None if champion is None else f"{champion.model}@{champion.version}",
            "reason": deployment.reason,
        },
    )
    if deployment.role is Role.CHAMPION and version.draft.mlflow_model_version is not None:
        work.outbox.add(
            topic=ALIAS_TOPIC,
            key=deployment.model,
            payload={
                "model": deployment.model,
                "alias": CHAMPION_ALIAS,
                "mlflow_model_version": version.draft.mlflow_model_version,
            },
            at=now,
        )
