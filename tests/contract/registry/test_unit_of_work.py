"""What every registry keeps, whatever it is made of."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from onnxyard.errors import ConflictError, InvalidRequestError, NotFoundError
from onnxyard.lifecycle.candidate import Outcome, Ratio
from onnxyard.lifecycle.deployment import Deployment, DeploymentKind, Role
from onnxyard.lifecycle.drift import ColumnDrift
from onnxyard.lifecycle.gate import Gate, GateOutcome
from onnxyard.lifecycle.version import VersionStatus
from onnxyard.ports.unit_of_work import LifecycleRun, RunState
from onnxyard.testing import (
    sample_artifact,
    sample_candidate,
    sample_draft,
    sample_latency,
    sample_report,
    sample_window,
)

if TYPE_CHECKING:
    from onnxyard.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def deployment(generation: int = 1, role: Role = Role.CHAMPION, version: int = 1, **changed: object) -> Deployment:
    made = Deployment(
        "digits", generation, role, "digits", version, "cpu", DeploymentKind.DEPLOY, "ann@host", "passed", NOON
    )
    return replace(made, **changed)  # type: ignore[arg-type]  # any field


def deploy(work: UnitOfWork, generation: int = 1, version: int = 1) -> None:
    work.deployments.advance("digits", model="digits", expected=generation - 1, at=NOON)
    work.deployments.add(deployment(generation, version=version))


def with_endpoint(registry: UnitOfWorkFactory) -> None:
    with registry() as work:
        work.versions.add(sample_draft(), at=NOON)
        deploy(work)
        work.commit()


def test_leaving_the_block_rolls_back(registry: UnitOfWorkFactory) -> None:
    with registry() as work:
        work.versions.add(sample_draft(), at=NOON)
    with registry() as work:
        assert work.versions.models() == ()


def test_an_error_in_the_block_rolls_back(registry: UnitOfWorkFactory) -> None:
    def fail() -> None:
        with registry() as work:
            work.versions.add(sample_draft(), at=NOON)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with registry() as work:
        assert work.versions.of_model("digits") == ()


def test_what_was_done_after_the_commit_is_rolled_back(registry: UnitOfWorkFactory) -> None:
    with registry() as work:
        work.versions.add(sample_draft(key="a"), at=NOON)
        work.commit()
        work.versions.add(sample_draft(key="b"), at=NOON)
    with registry() as work:
        assert [v.draft.key for v in work.versions.of_model("digits")] == ["a"]


def test_other_units_of_work_see_only_what_is_committed(registry: UnitOfWorkFactory) -> None:
    with registry() as writer, registry() as reader:
        assert reader.versions.models() == ()
        writer.versions.add(sample_draft(), at=NOON)
        assert writer.versions.models() == ("digits",)
        assert reader.versions.models() == ()
        writer.commit()
        assert reader.versions.models() == ("digits",)


def test_a_version_reads_back_as_it_was_written(registry: UnitOfWorkFactory) -> None:
    draft = sample_draft()
    with registry() as work:
        written = work.versions.add(draft, at=NOON)
        work.commit()
    assert written.draft == draft
    with registry() as work:
        assert work.versions.get("digits", 1) == written
        assert work.versions.by_key("digits", "key") == written
        assert work.versions.by_key("digits", "other") is None


def test_absent_values_and_rejected_versions_read_back(registry: UnitOfWorkFactory) -> None:
    lineage = replace(sample_draft().lineage, git_commit=None, stage_keys=())
    draft = sample_draft(
        verdict=VersionStatus.REJECTED,
        lineage=lineage,
        candidates=(),
        mlflow_run_id=None,
        mlflow_model_version=None,
    )
    with registry() as work:
        work.versions.add(draft, at=NOON)
        work.commit()
    with registry() as work:
        assert work.versions.get("digits", 1).draft == draft


def test_a_gate_that_measured_nan_or_infinity_stays_on_record(registry: UnitOfWorkFactory) -> None:
    gates = (
        Gate("parity@cpu", math.nan, 1e-3, GateOutcome.FAILED),
        Gate("latency:p99_ms@cpu", math.inf, 20.0, GateOutcome.FAILED, unit="ms"),
    )
    with registry() as work:
        work.versions.add(sample_draft(verdict=VersionStatus.REJECTED, gates=gates), at=NOON)
        work.commit()
    with registry() as work:
        read = work.versions.get("digits", 1).draft.gates
    assert math.isnan(read[0].observed)
    assert read[1] == gates[1]


def test_a_candidates_numbers_may_be_unknown_or_without_end(registry: UnitOfWorkFactory) -> None:
    ratio = Ratio(0.5, math.nan, math.inf)
    latency = sample_latency(0.1, baseline_ms=0.2, low_ms=math.nan, high_ms=math.inf, ratio=ratio)
    candidate = sample_candidate(latencies=(latency,), ratio=ratio, quality=None, drop_high=math.inf)
    with registry() as work:
        work.versions.add(sample_draft(candidates=(candidate,)), at=NOON)
        work.commit()
    with registry() as work:
        [read] = work.versions.get("digits", 1).draft.candidates
    for found in (read.ratio, read.latencies[0].ratio):
        assert found is not None
        assert (found.value, math.isnan(found.low), found.high) == (0.5, True, math.inf)
    assert math.isnan(read.latencies[0].low_ms)
    assert (read.latencies[0].high_ms, read.drop_high, read.quality) == (math.inf, math.inf, None)


def test_what_a_crash_wrote_is_no_reason_to_lose_the_version(registry: UnitOfWorkFactory) -> None:
    candidate = sample_candidate(outcome=Outcome.FAILED, note="crashed: \0 \udc80")
    with registry() as work:
        work.versions.add(sample_draft(candidates=(candidate,)), at=NOON)
        work.commit()
    with registry() as work:
        assert work.versions.get("digits", 1).draft.candidates[0].note.startswith("crashed: ")


def test_numbers_count_within_the_model_without_gaps(registry: UnitOfWorkFactory) -> None:
    with registry() as work:
        work.versions.add(sample_draft(key="lost"), at=NOON)
    with registry() as work:
        numbers = [work.versions.add(sample_draft(key=key), at=NOON).number for key in "abc"]
        other = work.versions.add(sample_draft(model="iris"), at=NOON).number
        work.commit()
    assert (numbers, other) == ([1, 2, 3], 1)
    with registry() as work:
        assert work.versions.models() == ("digits", "iris")
        assert [v.number for v in work.versions.of_model("digits")] == [3, 2, 1]


def test_the_same_key_twice_is_a_conflict(registry: UnitOfWorkFactory) -> None:
    with registry() as work:
        work.versions.add(sample_draft(), at=NOON)
        work.commit()
    with registry() as work, pytest.raises(ConflictError):
        work.versions.add(sample_draft(), at=NOON)
    with registry() as work:
        work.versions.add(sample_draft(model="iris"), at=NOON)


def test_live_is_no_verdict(registry: UnitOfWorkFactory) -> None:
    with registry() as work, pytest.raises(ConflictError):
        work.versions.add(sample_draft(verdict=VersionStatus.LIVE), at=NOON)


def test_unknown_names_are_not_found(registry: UnitOfWorkFactory) -> None:
    with registry() as work:
        work.versions.add(sample_draft(), at=NOON)
        for model, number in (("digits", 2), ("digits", 0), ("nothing", 1)):
            with pytest.raises(NotFoundError):
                work.versions.get(model, number)
        with pytest.raises(NotFoundError):
            work.deployments.advance("digits", model="nothing", expected=0, at=NOON)
        with pytest.raises(NotFoundError):
            work.deployments.add(deployment())
        with pytest.raises(NotFoundError):
            work.windows.add(sample_window())
        with pytest.raises(NotFoundError):
            work.replicas.report(sample_report())
        deploy(work)
        with pytest.raises(NotFoundError):
            work.deployments.add(deployment(role=Role.CANARY, version=9))
        with pytest.raises(NotFoundError):
            work.windows.add(sample_window(version=9))
        assert work.deployments.generation("nothing") == 0
        assert work.deployments.history("nothing") == ()


def test_a_naive_time_is_refused(registry: UnitOfWorkFactory) -> None:
    naive = NOON.replace(tzinfo=None)
    with registry() as work, pytest.raises(InvalidRequestError, match="aware times only"):
        work.versions.add(sample_draft(), at=naive)


def test_times_of_other_zones_are_the_same_moment(registry: UnitOfWorkFactory) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    with registry() as work:
        work.versions.add(sample_draft(), at=elsewhere + timedelta(microseconds=1))
        work.commit()
    with registry() as work:
        assert work.versions.get("digits", 1).created_at == NOON + timedelta(microseconds=1)


def test_advance_swaps_only_the_expected_generation(registry: UnitOfWorkFactory) -> None:
    with_endpoint(registry)
    for stale in (0, 2):
        with registry() as work, pytest.raises(ConflictError, match=f"at generation 1, not {stale}"):
            work.deployments.advance("digits", model="digits", expected=stale, at=NOON)
    with registry() as work:
        with pytest.raises(ConflictError, match="at generation 0, not 3"):
            work.deployments.advance("new", model="digits", expected=3, at=NOON)
        assert work.deployments.advance("digits", model="digits", expected=1, at=NOON) == 2
        assert work.deployments.generation("digits") == 2
    with registry() as work:
        assert work.deployments.generation("digits") == 1


def test_an_endpoint_keeps_its_model(registry: UnitOfWorkFactory) -> None:
    with_endpoint(registry)
    with registry() as work:
        work.versions.add(sample_draft(model="iris"), at=NOON)
        for expected in (0, 1):
            with pytest.raises(ConflictError, match="serves the model digits"):
                work.deployments.advance("digits", model="iris", expected=expected, at=NOON)


def test_a_role_of_a_generation_is_given_once(registry: UnitOfWorkFactory) -> None:
    with_endpoint(registry)
    with registry() as work, pytest.raises(ConflictError):
        work.deployments.add(deployment(actor="somebody else"))


def test_history_keeps_every_generation_and_role(registry: UnitOfWorkFactory) -> None:
    with registry() as work:
        for key in "ab":
            work.versions.add(sample_draft(key=key), at=NOON)
        deploy(work)
        work.deployments.advance("digits", model="digits", expected=1, at=NOON)
        for role in (Role.SHADOW, Role.CANARY, Role.CHAMPION):
            work.deployments.add(deployment(2, role, 2))
        work.commit()
    with registry() as work:
        assert [d.role for d in work.deployments.current("digits")] == [Role.CHAMPION, Role.CANARY, Role.SHADOW]
        assert [d.generation for d in work.deployments.history("digits")] == [2, 2, 2, 1]
        assert work.deployments.history("digits")[-1] == deployment()
        assert work.deployments.endpoints() == ("digits",)


def test_windows_read_back_newest_first(registry: UnitOfWorkFactory) -> None:
    with_endpoint(registry)
    columns = (
        ColumnDrift("b", "chi2", 0.5, 0.5, 0.0, drifted=False),
        ColumnDrift("a", "ks", 1e-300, 1e-299, 3.5, drifted=True),
    )
    first = sample_window(columns=columns)
    second = sample_window(first_sequence=501, last_sequence=2**40, report=None, created_at=NOON + timedelta(hours=1))
    with registry() as work:
        work.windows.add(first)
        work.windows.add(second)
        work.commit()
    with registry() as work:
        assert work.windows.of_endpoint("digits") == (second, first)
        assert work.windows.of_endpoint("digits", limit=1) == (second,)
        with pytest.raises(ConflictError):
            work.windows.add(first)


def test_a_replica_has_one_report_per_endpoint(registry: UnitOfWorkFactory) -> None:
    with_endpoint(registry)
    old = sample_report()
    new = replace(old, generation=2, message="golden set differs", seen_at=NOON + timedelta(seconds=1))
    other = sample_report(replica="other:8080", version=None, digest=None, provider=None, runtime=None, precision=None)
    with registry() as work:
        work.replicas.report(old)
        assert work.replicas.of_endpoint("digits") == (old,)
        work.replicas.report(other)
        work.replicas.report(new)
        assert work.replicas.of_endpoint("digits") == (new, other)
        work.commit()
    with registry() as work:
        work.replicas.report(old)
        assert work.replicas.of_endpoint("digits") == (old, other)


def test_the_audit_counts_without_gaps(registry: UnitOfWorkFactory) -> None:
    def add(work: UnitOfWork, subject: str) -> None:
        work.audit.add(at=NOON, actor="ann@host", action="version.register", subject=subject, detail={"n": [1, None]})

    with registry() as work:
        add(work, "lost")
    with registry() as work:
        add(work, "digits@1")
        add(work, "digits@2")
        work.commit()
    with registry() as work:
        entries = work.audit.entries()
        assert [(e.sequence, e.subject) for e in entries] == [(2, "digits@2"), (1, "digits@1")]
        assert entries[0].detail == {"n": [1, None]}
        assert entries[0].at == NOON
        assert len(work.audit.entries(limit=1)) == 1


def test_a_later_message_replaces_an_earlier_one_of_its_key(registry: UnitOfWorkFactory) -> None:
    def pending(work: UnitOfWork) -> list[tuple[str, object]]:
        return [(m.key, m.payload["version"]) for m in work.outbox.pending(topic="mlflow.alias")]

    with registry() as work:
        for key, version in (("digits", 1), ("iris", 1), ("digits", 2)):
            work.outbox.add(topic="mlflow.alias", key=key, payload={"version": version}, at=NOON)
        work.outbox.add(topic="other", key="digits", payload={"version": 9}, at=NOON)
        work.commit()
    with registry() as work:
        assert pending(work) == [("iris", 1), ("digits", 2)]
        number = work.outbox.pending(topic="mlflow.alias")[1].number
        work.outbox.failed(number, error="away")
        tried = work.outbox.pending(topic="mlflow.alias")[1]
        assert (tried.attempts, tried.last_error) == (1, "away")
        work.outbox.delivered(number, at=NOON)
        assert pending(work) == [("iris", 1)]
        work.outbox.add(topic="mlflow.alias", key="digits", payload={"version": 3}, at=NOON)
        assert pending(work) == [("iris", 1), ("digits", 3)]
        work.outbox.delivered(10**6, at=NOON)
        assert len(work.outbox.pending(topic="other")) == 1


def test_runs_are_replaced_by_id(registry: UnitOfWorkFactory) -> None:
    def run(name: str, started: datetime, **changed: object) -> LifecycleRun:
        made = LifecycleRun(name, "digits", RunState.RUNNING, "host:1", started, None, None, "")
        return replace(made, **changed)  # type: ignore[arg-type]  # any field

    with registry() as work:
        work.runs.save(run("a", NOON))
        work.runs.save(run("b", NOON + timedelta(hours=1)))
        work.runs.save(run("c", NOON, model="iris"))
        work.commit()
    ended = run("a", NOON, state=RunState.FINISHED, ended_at=NOON, version=1)
    with registry() as work:
        work.runs.save(ended)
        assert [r.id for r in work.runs.of_model("digits")] == ["b", "a"]
        assert work.runs.of_model("digits")[1] == ended
        assert [r.id for r in work.runs.of_model("digits", limit=1)] == ["b"]
        assert [r.id for r in work.runs.running()] == ["c", "b"]


def test_many_files_read_back_sorted(registry: UnitOfWorkFactory) -> None:
    report = replace(
        sample_artifact(),
        files=tuple(replace(sample_artifact().files[0], path=f"{n}/å.bin", size_bytes=2**40) for n in range(3)),
    )
    with_endpoint(registry)
    with registry() as work:
        work.windows.add(sample_window(report=report))
        assert work.windows.of_endpoint("digits")[0].report == report
