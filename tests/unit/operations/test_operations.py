"""The use cases, over the in-memory registry (the contract suite holds it equal to the real ones)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from onnxyard.delivery.onnxyard_serving import OnnxyardServing
from onnxyard.errors import (
    ConflictError,
    GateFailedError,
    InvalidRequestError,
    NotFoundError,
    UnsupportedModelError,
)
from onnxyard.lifecycle.deployment import DeploymentKind, DeploymentPlan, Role
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.version import ArtifactRole, Execution, VersionArtifact, VersionStatus
from onnxyard.operations import actors, passports, runs, status
from onnxyard.operations.aliases import deliver_aliases
from onnxyard.operations.deploy import apply_plan
from onnxyard.operations.promote import promote
from onnxyard.operations.register import register
from onnxyard.operations.replicas import report
from onnxyard.operations.rollback import roll_back
from onnxyard.operations.windows import record_window
from onnxyard.ports.unit_of_work import RunState
from onnxyard.testing import (
    InMemoryRecorder,
    InMemoryRegistry,
    sample_artifact,
    sample_draft,
    sample_report,
    sample_window,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WHO = "ann@host"
SERVING = OnnxyardServing()


@pytest.fixture
def registry() -> InMemoryRegistry:
    """digits@1 to digits@3, each with an MLflow version of its own; the third was rejected."""
    registry = InMemoryRegistry()
    for number in "123":
        verdict = VersionStatus.REJECTED if number == "3" else VersionStatus.VALIDATED
        draft = sample_draft(key=number, verdict=verdict, mlflow_model_version=number)
        register(registry, draft, actor=WHO, now=NOON)
    return registry


def champion(registry: InMemoryRegistry, version: int, *, at: datetime = NOON) -> None:
    promote(registry, SERVING, model="digits", version=version, actor=WHO, reason="better", now=at)


def actions(registry: InMemoryRegistry) -> list[tuple[str, str]]:
    with registry() as work:
        return [(entry.action, entry.subject) for entry in work.audit.entries()]


def test_registering_again_changes_nothing(registry: InMemoryRegistry) -> None:
    again = register(registry, sample_draft(key="1"), actor="bob@host", now=NOON + timedelta(days=1))
    assert (again.number, again.created_at) == (1, NOON)
    assert len(actions(registry)) == 3


def test_a_draft_that_contradicts_itself_is_refused(registry: InMemoryRegistry) -> None:
    failed = sample_draft(verdict=VersionStatus.REJECTED).gates
    for draft in (
        sample_draft(artifacts=()),
        sample_draft(verdict=VersionStatus.LIVE),
        sample_draft(gates=failed),
    ):
        with pytest.raises(InvalidRequestError):
            register(registry, draft, actor=WHO, now=NOON)
    assert len(actions(registry)) == 3


def test_a_deployment_leaves_audit_and_outbox(registry: InMemoryRegistry) -> None:
    champion(registry, 2)
    with registry() as work:
        entry = work.audit.entries()[0]
        assert (entry.action, entry.subject, entry.actor, entry.at) == (
            "endpoint.promote",
            "endpoint:digits",
            WHO,
            NOON,
        )
        assert entry.detail["version"] == 2
        assert entry.detail["before"] is None
        assert entry.detail["reason"] == "better"
        (message,) = work.outbox.pending(topic="mlflow.alias")
    assert message.payload == {"model": "digits", "alias": "champion", "mlflow_model_version": "2"}


def test_a_rejected_version_never_goes_live(registry: InMemoryRegistry) -> None:
    with pytest.raises(GateFailedError, match=r"quality:accuracy@cpu: 0\.5 against 0\.93") as told:
        champion(registry, 3)
    assert told.value.facts["gates"] == ["quality:accuracy@cpu"]
    plan = DeploymentPlan("digits", "digits", 3, "cpu", 0, DeploymentKind.DEPLOY, "")
    with pytest.raises(GateFailedError):
        apply_plan(registry, SERVING, plan, actor=WHO, now=NOON)
    assert status.endpoints(registry) == ()


def test_a_version_without_the_target_is_refused(registry: InMemoryRegistry) -> None:
    plan = DeploymentPlan("digits", "digits", 1, "phone", 0, DeploymentKind.DEPLOY, "")
    with pytest.raises(UnsupportedModelError, match="no model for the target phone; it was made for cpu"):
        apply_plan(registry, SERVING, plan, actor=WHO, now=NOON)
    other = (VersionArtifact(ArtifactRole.MODEL, "cpu", sample_artifact("model.ort"), 20, 10),)
    register(registry, sample_draft(key="ort", artifacts=other), actor=WHO, now=NOON)
    with pytest.raises(UnsupportedModelError, match=r"holds no model\.onnx"):
        champion(registry, 4)
    assert status.endpoints(registry) == ()


def test_promote_takes_the_target_that_serves(registry: InMemoryRegistry) -> None:
    def models(*targets: str) -> tuple[VersionArtifact, ...]:
        return tuple(VersionArtifact(ArtifactRole.MODEL, t, sample_artifact(content=t), 20, 10) for t in targets)

    for key, targets in (("phone", ("phone",)), ("both", ("cpu", "phone")), ("cpu", ("cpu",))):
        register(registry, sample_draft(model="m", key=key, artifacts=models(*targets)), actor=WHO, now=NOON)
    made = [
        promote(registry, SERVING, model="m", version=v, actor=WHO, reason="", now=NOON).target for v in (1, 2, 3, 2)
    ]
    assert made == ["phone", "phone", "cpu", "cpu"]


def test_promoting_the_champion_changes_nothing(registry: InMemoryRegistry) -> None:
    champion(registry, 1)
    before = actions(registry)
    champion(registry, 1, at=NOON + timedelta(hours=1))
    assert actions(registry) == before


def test_a_stale_plan_is_a_conflict(registry: InMemoryRegistry) -> None:
    champion(registry, 1)
    plan = DeploymentPlan("digits", "digits", 2, "cpu", 0, DeploymentKind.DEPLOY, "")
    with pytest.raises(ConflictError):
        apply_plan(registry, SERVING, plan, actor=WHO, now=NOON)


def test_a_canary_stands_beside_the_champion(registry: InMemoryRegistry) -> None:
    canary = DeploymentPlan("digits", "digits", 2, "cpu", 0, DeploymentKind.DEPLOY, "", Role.CANARY)
    with pytest.raises(InvalidRequestError, match="no champion"):
        apply_plan(registry, SERVING, canary, actor=WHO, now=NOON)
    champion(registry, 1)
    apply_plan(registry, SERVING, replace(canary, expected_generation=1), actor="bob@host", now=NOON)
    (found,) = status.endpoints(registry)
    assert [(d.role, d.version, d.generation, d.actor) for d in found.deployments] == [
        (Role.CHAMPION, 1, 2, WHO),
        (Role.CANARY, 2, 2, "bob@host"),
    ]
    assert found.champion == found.deployments[0]
    with pytest.raises(ConflictError, match="no earlier champion"):
        roll_back(registry, SERVING, endpoint="digits", actor=WHO, reason="", now=NOON)


def test_rolling_back_twice_goes_back_two_champions(registry: InMemoryRegistry) -> None:
    register(registry, sample_draft(key="4"), actor=WHO, now=NOON)
    for version in (1, 2, 4):
        champion(registry, version)
    for expected in (2, 1):
        assert roll_back(registry, SERVING, endpoint="digits", actor=WHO, reason="", now=NOON).version == expected
    with pytest.raises(ConflictError, match="no earlier champion"):
        roll_back(registry, SERVING, endpoint="digits", actor=WHO, reason="", now=NOON)
    champion(registry, 4)
    back = roll_back(registry, SERVING, endpoint="digits", actor=WHO, reason="pager", now=NOON)
    assert (back.version, back.reason, back.kind) == (1, "pager", DeploymentKind.ROLLBACK)


def test_unknown_names_say_what_is_near(registry: InMemoryRegistry) -> None:
    champion(registry, 1)
    with pytest.raises(NotFoundError) as told:
        passports.passport(registry, "digit")
    assert told.value.remedy == "Did you mean digits?"
    with pytest.raises(NotFoundError, match="no version digits@9"):
        passports.passport(registry, "digits", 9)
    with pytest.raises(NotFoundError) as told:
        roll_back(registry, SERVING, endpoint="digitz", actor=WHO, reason="", now=NOON)
    assert told.value.remedy == "Did you mean digits?"
    with pytest.raises(NotFoundError) as told:
        passports.versions(registry, "resnet")
    assert told.value.remedy == "Known models: digits."
    with pytest.raises(NotFoundError) as told:
        passports.versions(InMemoryRegistry(), "digits")
    assert "onnxyard run" in told.value.remedy


def test_the_passport_tells_where_a_version_was_live(registry: InMemoryRegistry) -> None:
    for version, hour in ((1, 1), (2, 2), (1, 3)):
        champion(registry, version, at=NOON + timedelta(hours=hour))
    report(registry, sample_report(generation=3, version=1))
    report(registry, sample_report(replica="slow:1", generation=2, version=2))
    first = passports.passport(registry, "digits", 1)
    assert first.status is VersionStatus.LIVE
    assert [d.generation for d in first.deployments] == [3, 1]
    assert [r.replica for r in first.replicas] == ["host:8080"]
    assert passports.passport(registry, "digits").version.number == 3
    assert [(v.number, s) for v, s in passports.versions(registry, "digits")] == [
        (3, VersionStatus.REJECTED),
        (2, VersionStatus.VALIDATED),
        (1, VersionStatus.LIVE),
    ]
    at_two = status.live_at(registry, "digits", NOON + timedelta(hours=2, minutes=30))
    assert [(d.version, d.actor, d.reason) for d in at_two] == [(2, WHO, "better")]
    assert status.live_at(registry, "digits", NOON) == ()


def test_a_window_is_recorded_once_with_its_audit_row(registry: InMemoryRegistry) -> None:
    champion(registry, 1)
    record_window(registry, sample_window(), actor="monitor", now=NOON)
    with pytest.raises(ConflictError):
        record_window(registry, sample_window(), actor="monitor", now=NOON)
    assert [action for action, _ in actions(registry)].count("window.record") == 1
    assert status.endpoints(registry)[0].last_window == sample_window()


def test_the_alias_follows_when_mlflow_answers(registry: InMemoryRegistry) -> None:
    recorder = InMemoryRecorder()
    recorder.models["digits"] = [b"1", b"2"]
    recorder.away = True
    champion(registry, 1)
    away = deliver_aliases(registry, recorder, now=NOON)
    assert (away.delivered, away.pending) == (0, 1)
    assert "does not answer" in away.error
    champion(registry, 2)
    recorder.away = False
    back = deliver_aliases(registry, recorder, now=NOON)
    assert (back.delivered, back.pending, back.error) == (1, 0, "")
    assert recorder.aliases == {("digits", "champion"): "2"}
    assert deliver_aliases(registry, recorder, now=NOON).delivered == 0


def test_an_alias_that_mlflow_cannot_set_does_not_hold_up_the_others(registry: InMemoryRegistry) -> None:
    register(registry, sample_draft(model="iris"), actor=WHO, now=NOON)
    champion(registry, 1)
    promote(registry, SERVING, model="iris", version=1, actor=WHO, reason="", now=NOON)
    recorder = InMemoryRecorder()
    recorder.models["iris"] = [b"1"]
    told = deliver_aliases(registry, recorder, now=NOON)
    assert (told.delivered, told.pending) == (1, 1)
    assert recorder.aliases == {("iris", "champion"): "1"}
    with registry() as work:
        (waiting,) = work.outbox.pending(topic="mlflow.alias")
    assert (waiting.key, waiting.attempts) == ("digits", 1)


def test_a_version_that_mlflow_never_saw_sends_no_alias(registry: InMemoryRegistry) -> None:
    register(registry, sample_draft(model="iris", mlflow_model_version=None), actor=WHO, now=NOON)
    promote(registry, SERVING, model="iris", version=1, actor=WHO, reason="", now=NOON)
    with registry() as work:
        assert work.outbox.pending(topic="mlflow.alias") == ()


def test_a_run_begins_and_ends(registry: InMemoryRegistry) -> None:
    begun = runs.begin(registry, run_id="r1", model="digits", now=NOON)
    assert begun.process == f"{socket.gethostname()}:{os.getpid()}"
    assert runs.reconcile(registry, now=NOON) == ()  # its process, this one, lives
    ended = runs.end(registry, begun, state=RunState.FINISHED, version=3, now=NOON + timedelta(minutes=1))
    with registry() as work:
        assert work.runs.of_model("digits") == (ended,)
        assert work.runs.running() == ()


def test_a_run_whose_process_is_gone_is_abandoned(registry: InMemoryRegistry) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    gone = f"{socket.gethostname()}:{child.pid}"
    for name, model, process in (("a", "digits", gone), ("b", "iris", gone), ("c", "digits", "elsewhere:1")):
        runs.begin(registry, run_id=name, model=model, process=process, now=NOON)
    assert [run.id for run in runs.reconcile(registry, now=NOON, model="digits")] == ["a"]
    assert [run.id for run in runs.reconcile(registry, now=NOON)] == ["b"]
    with registry() as work:
        assert [run.id for run in work.runs.running()] == ["c"]
        assert work.runs.of_model("iris")[0].state == RunState.ABANDONED


def test_the_actor_has_user_and_host() -> None:
    user, at, host = actors.this_actor().partition("@")
    assert user
    assert at
    assert host == socket.gethostname()


def test_a_target_that_our_serving_cannot_run_is_refused_before_anything_is_written(registry):
    elsewhere = Execution("fp32", "fp32", Setup("elsewhere", "CPU", 1))
    model = VersionArtifact(ArtifactRole.MODEL, "edge", sample_artifact(), 20, 10, elsewhere)
    made = register(registry, sample_draft(key="edge", artifacts=(model,)), actor=WHO, now=NOON)
    plan = DeploymentPlan("edge", "digits", made.number, "edge", 0, DeploymentKind.DEPLOY, "because")
    with pytest.raises(UnsupportedModelError, match="elsewhere"):
        apply_plan(registry, SERVING, plan, actor=WHO, now=NOON)
    with registry() as work:
        assert work.deployments.endpoints() == ()
