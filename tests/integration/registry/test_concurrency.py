"""Two at once: one wins, and the other is told; on both databases, between threads and between processes."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from onnxyard.delivery.onnxyard_serving import OnnxyardServing
from onnxyard.errors import ConflictError
from onnxyard.lifecycle.deployment import DeploymentKind, DeploymentPlan
from onnxyard.operations.deploy import apply_plan
from onnxyard.operations.promote import promote
from onnxyard.operations.register import register
from onnxyard.operations.replicas import report
from onnxyard.registry.database import SqlRegistry, open_registry
from onnxyard.testing import sample_draft, sample_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WHO = "ann@host"
SERVING = OnnxyardServing()


@pytest.fixture
def registry(registry_url: str) -> Iterator[SqlRegistry]:
    opened = open_registry(registry_url)
    for key in "abcd":
        register(opened, sample_draft(key=key), actor=WHO, now=NOON)
    yield opened
    opened.close()


def plan(version: int, expected: int) -> DeploymentPlan:
    return DeploymentPlan("digits", "digits", version, "cpu", expected, DeploymentKind.DEPLOY, "passed")


def race(acts: list[Callable[[], object]]) -> list[object]:
    """Start all at the same moment; what each gave, or the error it raised."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        barrier.wait(timeout=30)
        try:
            return act()
        except ConflictError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.mark.parametrize("expected", [0, 1])
def test_of_two_deployments_at_once_one_wins(registry: SqlRegistry, expected: int) -> None:
    if expected:
        apply_plan(registry, SERVING, plan(1, 0), actor=WHO, now=NOON)

    def deploy(version: int) -> Callable[[], object]:
        return lambda: apply_plan(registry, SERVING, plan(version, expected), actor=WHO, now=NOON)

    told = race([deploy(2), deploy(3), deploy(4)])
    lost = [error for error in told if isinstance(error, ConflictError)]
    assert len(lost) == 2
    assert all(f"at generation {expected + 1}, not {expected}" in error.detail for error in lost)
    with registry() as work:
        assert work.deployments.generation("digits") == expected + 1
        assert len(work.deployments.history("digits")) == expected + 1
        assert sum(entry.action == "endpoint.deploy" for entry in work.audit.entries()) == expected + 1


DEPLOY = """
import sys
from datetime import UTC, datetime
from onnxyard.delivery.onnxyard_serving import OnnxyardServing
from onnxyard.errors import ConflictError
from onnxyard.lifecycle.deployment import DeploymentKind, DeploymentPlan
from onnxyard.operations.deploy import apply_plan
from onnxyard.registry.database import open_registry
registry = open_registry(sys.argv[1])
plan = DeploymentPlan("digits", "digits", int(sys.argv[2]), "cpu", 0, DeploymentKind.DEPLOY, "passed")
print("ready", flush=True)
sys.stdin.readline()
try:
    apply_plan(registry, OnnxyardServing(), plan, actor="ann@host", now=datetime.now(UTC))
    print("won")
except ConflictError:
    print("lost")
"""


def test_of_two_processes_at_once_one_wins(registry: SqlRegistry, registry_url: str) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", DEPLOY, registry_url, str(version)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for version in (1, 2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    told = [child.communicate(timeout=60)[0].strip() for child in children]
    assert sorted(told) == ["lost", "won"]
    with registry() as work:
        assert work.deployments.generation("digits") == 1


def test_the_same_draft_registered_at_once_is_one_version(registry: SqlRegistry) -> None:
    draft = sample_draft(model="iris", key="same")
    told = race([lambda: register(registry, draft, actor=WHO, now=NOON)] * 4)
    assert {getattr(version, "number", version) for version in told} == {1}
    with registry() as work:
        assert sum(entry.subject == "iris@1" for entry in work.audit.entries()) == 1


def test_different_drafts_registered_at_once_all_get_a_number(registry: SqlRegistry) -> None:
    def add(key: str) -> Callable[[], object]:
        return lambda: register(registry, sample_draft(model="iris", key=key), actor=WHO, now=NOON)

    told = race([add(key) for key in "pqrs"])
    assert sorted(getattr(version, "number", 0) for version in told) == [1, 2, 3, 4]
    with registry() as work:
        sequences = [entry.sequence for entry in work.audit.entries()]
        assert sequences == list(range(len(sequences), 0, -1))


def test_replicas_that_report_do_not_disturb_a_deployment(registry: SqlRegistry) -> None:
    promote(registry, SERVING, model="digits", version=1, actor=WHO, reason="", now=NOON)

    def say() -> None:
        for generation in range(10):
            report(registry, sample_report(generation=generation))

    def deploy() -> None:
        for expected in range(1, 6):
            apply_plan(registry, SERVING, plan(expected % 4 + 1, expected), actor=WHO, now=NOON)

    assert race([say, say, deploy]) == [None, None, None]
    with registry() as work:
        assert work.deployments.generation("digits") == 6
        assert len(work.replicas.of_endpoint("digits")) == 1


def test_a_read_before_somebody_elses_write_does_not_stop_ones_own(registry: SqlRegistry) -> None:
    with registry() as mine, registry() as theirs:
        assert mine.deployments.generation("digits") == 0
        theirs.audit.add(at=NOON, actor=WHO, action="a", subject="s", detail={})
        theirs.commit()
        mine.audit.add(at=NOON, actor=WHO, action="b", subject="s", detail={})
        mine.commit()
    with registry() as work:
        assert [entry.action for entry in work.audit.entries(limit=2)] == ["b", "a"]
