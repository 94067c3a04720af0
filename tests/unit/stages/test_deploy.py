from __future__ import annotations

from datetime import UTC, datetime

from onnxyard.lifecycle.deployment import Deployment, DeploymentKind, Role
from onnxyard.stages.deploy.request import DeployRequest
from onnxyard.stages.deploy.stage import run

AT = datetime(2026, 1, 1, tzinfo=UTC)


def live(version, role=Role.CHAMPION, target="cpu", kind=DeploymentKind.DEPLOY):
    return Deployment("digits", 4, role, "digits", version, target, kind, "me@here", "blurred", AT)


def request(*history, version=2):
    return DeployRequest("digits", "digits", version, "cpu", 4 if history else 0, history)


def test_a_new_version_is_planned_against_the_generation_seen(tmp_path):
    plan = run(request(live(1)), tmp_path).plan
    assert (plan.version, plan.target, plan.expected_generation, plan.role) == (2, "cpu", 4, Role.CHAMPION)
    assert plan.kind is DeploymentKind.DEPLOY


def test_a_first_version_makes_the_endpoint(tmp_path):
    assert run(request(), tmp_path).plan.expected_generation == 0


def test_what_is_live_already_needs_no_plan(tmp_path):
    result = run(request(live(2)), tmp_path)
    assert result.plan is None
    assert "already" in result.detail


def test_a_canary_or_another_target_is_not_the_champion(tmp_path):
    assert run(request(live(2, role=Role.CANARY)), tmp_path).plan is not None
    assert run(request(live(2, target="gpu")), tmp_path).plan is not None


def test_what_a_person_took_down_is_not_brought_back_by_a_schedule(tmp_path):
    for kind in (DeploymentKind.ROLLBACK, DeploymentKind.PROMOTE):
        result = run(request(live(1, kind=kind), live(2), live(1)), tmp_path)
        assert result.plan is None
        assert result.held
        assert "blurred" in result.detail
        assert "onnxyard promote digits@2" in result.detail


def test_what_a_newer_version_replaced_comes_back_with_its_code(tmp_path):
    assert run(request(live(3), live(2), live(1)), tmp_path).plan.version == 2


def test_only_its_last_time_as_champion_counts(tmp_path):
    history = (live(3), live(2), live(1, kind=DeploymentKind.ROLLBACK), live(2), live(1))
    assert run(request(*history), tmp_path).plan is not None


def test_nothing_is_written(tmp_path):
    run(request(live(1)), tmp_path)
    assert not list(tmp_path.iterdir())
