"""Whatever is registered, promoted and rolled back, in whatever order: history tells the truth."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxyard.delivery.onnxyard_serving import OnnxyardServing
from onnxyard.errors import ConflictError, GateFailedError, NotFoundError
from onnxyard.lifecycle.deployment import Role
from onnxyard.lifecycle.version import VersionStatus
from onnxyard.operations.passports import passport, version_status
from onnxyard.operations.promote import promote
from onnxyard.operations.register import register
from onnxyard.operations.rollback import roll_back
from onnxyard.operations.status import live_at
from onnxyard.testing import sample_draft

if TYPE_CHECKING:
    from onnxyard.ports.unit_of_work import UnitOfWorkFactory

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SERVING = OnnxyardServing()
_EXAMPLES = count(1)

actions = st.lists(
    st.one_of(
        st.tuples(st.just("register"), st.sampled_from(["validated", "rejected"])),
        st.tuples(st.just("promote"), st.integers(1, 5)),
        st.tuples(st.just("rollback"), st.none()),
    ),
    max_size=14,
)


@given(actions=actions)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_changes(registry: UnitOfWorkFactory, actions: list[tuple[str, object]]) -> None:
    model = f"model-{next(_EXAMPLES)}"
    verdicts: list[str] = []  # what a version's gates said
    line: list[int] = []  # champions, the present one last
    moments: list[tuple[datetime, int | None]] = []  # who was live at a time
    history: tuple[object, ...] = ()
    generation = 0
    for step, (action, value) in enumerate(actions):
        now = NOON + timedelta(minutes=step)
        if action == "register":
            verdict = VersionStatus(str(value))
            draft = sample_draft(model, key=str(len(verdicts)), verdict=verdict)
            version = register(registry, draft, actor="ann@host", now=now)
            assert register(registry, draft, actor="bob@host", now=now) == version
            verdicts.append(verdict)
            assert version.number == len(verdicts)
        elif action == "promote":
            number = int(str(value))
            with suppress(NotFoundError, GateFailedError):
                made = promote(registry, SERVING, model=model, version=number, actor="ann@host", reason="", now=now)
                assert made.version == number
                assert verdicts[number - 1] == "validated"
                if not line or line[-1] != number:
                    line.append(number)
                    generation += 1
        elif len(line) > 1:
            back = roll_back(registry, SERVING, endpoint=model, actor="ann@host", reason="", now=now)
            left = line.pop()
            generation += 1
            assert back.version == line[-1] != left
        else:
            with suppress(NotFoundError, ConflictError):
                roll_back(registry, SERVING, endpoint=model, actor="ann@host", reason="", now=now)
                raise AssertionError("there was nothing to go back to")
        moments.append((now, line[-1] if line else None))
        with registry() as work:
            assert work.deployments.generation(model) == generation
            longer = work.deployments.history(model)
        assert longer[len(longer) - len(history) :] == history  # appended to, and nothing else
        history = longer
        assert [d.generation for d in longer] == list(range(generation, 0, -1))
        assert all(verdicts[d.version - 1] == "validated" for d in longer if d.role is Role.CHAMPION)
    for at, champion in moments:
        live = live_at(registry, model, at + timedelta(seconds=1))
        assert [d.version for d in live] == ([] if champion is None else [champion])
    for number, verdict in enumerate(verdicts, start=1):
        live_now = bool(line) and line[-1] == number
        status_now = version_status(registry, model, number)
        assert status_now == ("live" if live_now else verdict)
        assert passport(registry, model, number).status == status_now
