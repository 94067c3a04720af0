"""A home as some weeks of work leave it, written through the real operations into a real registry and store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxyard.bootstrap import Yard
from onnxyard.lifecycle.deployment import ReplicaReport, ReplicaState
from onnxyard.lifecycle.drift import ColumnDrift, DriftVerdict
from onnxyard.lifecycle.gate import Gate, GateOutcome
from onnxyard.lifecycle.lineage import Lineage
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.lifecycle.version import ArtifactRole, ModelVersion, VersionArtifact, VersionDraft, VersionStatus
from onnxyard.lifecycle.window import Window
from onnxyard.operations.promote import promote
from onnxyard.operations.register import register
from onnxyard.operations.replicas import report
from onnxyard.operations.windows import record_window
from onnxyard.settings import Settings
from onnxyard.testing import sample_candidates

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.lifecycle.artifact import Artifact

ACTOR = "ada@yard"
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
SIGNATURE = Signature((TensorSpec("x", "FLOAT", ("batch", 2)),), (TensorSpec("y", "FLOAT", ("batch", 2)),))
CANDIDATES = sample_candidates()
GATES = (
    Gate("parity@cpu", 3.1e-6, 1e-3, GateOutcome.PASSED, rows=64, detail="largest absolute error at two batch sizes"),
    Gate("quality:accuracy@cpu", 0.9806, 0.93, GateOutcome.PASSED, bound=0.9642, rows=360),
    Gate("latency:p99_ms@cpu", 0.0733, 20.0, GateOutcome.PASSED, unit="ms"),
    Gate("size@cpu", 39_120, 5_000_000, GateOutcome.PASSED, unit="bytes"),
)


@dataclass(frozen=True)
class SampleHome:
    """What was written.

    Attributes:
        settings: The home.
        yard: The same, opened.
        reports: Digests of the drift reports, oldest first.
    """

    settings: Settings
    yard: Yard
    reports: tuple[str, ...]


def settings_of(home: Path, database_url: str | None = None) -> Settings:
    """Settings that no variable of the machine changes."""
    environ = {} if database_url is None else {"ONNXYARD_DATABASE_URL": database_url}
    return Settings.read(home=home, environ=environ)


def add_version(
    yard: Yard, model: str, key: str, *, scratch: Path, at: datetime, rejected: bool = False, **artifacts: Path
) -> ModelVersion:
    """Register a version with a real (tiny) ONNX model; `artifacts` are further folders by role."""
    folder = scratch / f"model-{key}"
    folder.mkdir(parents=True)
    onnx.save(doubling_model(), folder / "model.onnx")
    kept = [VersionArtifact(ArtifactRole.MODEL, "cpu", yard.store.put(folder), opset=20, ir_version=10)]
    kept += [VersionArtifact(ArtifactRole(role), "", yard.store.put(path)) for role, path in artifacts.items()]
    gates = GATES
    if rejected:
        failed = replace(GATES[1], observed=0.9028, bound=0.8731, outcome=GateOutcome.FAILED)
        gates = (GATES[0], failed, *GATES[2:])
    draft = VersionDraft(
        model=model,
        key=key,
        verdict=VersionStatus.REJECTED if rejected else VersionStatus.VALIDATED,
        signature=SIGNATURE,
        model_signature=SIGNATURE,
        lineage=Lineage("torch 2.13.0", "5" * 64, "d" * 64, "c0ffee1234+dirty", (("export", "e" * 64),)),
        artifacts=tuple(kept),
        candidates=CANDIDATES,
        gates=gates,
        mlflow_run_id="0123456789abcdef0123456789abcdef",
        mlflow_model_version="1",
    )
    return register(yard.unit_of_work, draft, actor=ACTOR, now=at)


def doubling_model() -> onnx.ModelProto:
    """`y = x @ [[2, 0], [0, 2]]`, batch dynamic."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, (2, 2), np.diag([2.0, 2.0]).astype(np.float32).ravel())
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def add_report(yard: Yard, scratch: Path, html: str) -> Artifact:
    """Keep an HTML page as monitoring keeps its reports."""
    folder = scratch / f"report-{abs(hash(html))}"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text(html, encoding="utf-8")
    return yard.store.put(folder)


def fill_home(home: Path, scratch: Path, *, model: str = "digits", reason: str = "the gates passed") -> SampleHome:
    """Three versions (one rejected), two generations, two replicas, a day of drift windows that ends in drift."""
    yard = Yard(settings_of(home))
    for number, rejected in ((1, False), (2, True), (3, False)):
        at = START + timedelta(hours=20 * number)
        add_version(yard, model, f"{number}", scratch=scratch, at=at, rejected=rejected)
        if not rejected:
            promote(
                yard.unit_of_work,
                yard.deployment_target,
                model=model,
                version=number,
                actor=ACTOR,
                reason=reason,
                now=at + timedelta(minutes=2),
            )
    now = datetime.now(UTC)
    served = next(v for v in _versions(yard, model) if v.number == 3).models[0].artifact.digest
    healthy = ReplicaReport(
        replica="yard-1:8080",
        endpoint=model,
        url="http://127.0.0.1:8080",
        generation=2,
        state=ReplicaState.SERVING,
        version=3,
        digest=served,
        provider="CPUExecutionProvider",
        runtime="onnxruntime 1.32.0",
        precision="int8",
        message="",
        seen_at=now - timedelta(seconds=3),
    )
    refused = replace(
        healthy,
        replica="yard-2:8080",
        generation=1,
        state=ReplicaState.REFUSED,
        version=1,
        message="Golden set: 3 of 32 rows differ by more than 1e-3.",
        seen_at=now - timedelta(minutes=9),
    )
    for said in (refused, healthy):
        report(yard.unit_of_work, said)
    reports = tuple(_add_windows(yard, model, scratch))
    return SampleHome(yard.settings, yard, reports)


def _versions(yard: Yard, model: str) -> tuple[ModelVersion, ...]:
    with yard.unit_of_work() as work:
        return work.versions.of_model(model)


def _add_windows(yard: Yard, model: str, scratch: Path) -> list[str]:
    random = np.random.default_rng(5)
    reports = []
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    for index in range(12):
        verdict = DriftVerdict.UNDECIDED if index == 0 else DriftVerdict.DRIFT if index > 9 else DriftVerdict.NO_DRIFT
        effect = float(random.uniform(0.02, 0.08)) + (0.62 if verdict is DriftVerdict.DRIFT else 0.0)
        drifted = verdict is DriftVerdict.DRIFT
        columns = (
            ColumnDrift("pixels.mean", "ks", 1e-9 if drifted else 0.4, 1e-8 if drifted else 0.6, effect, drifted),
            ColumnDrift("digit", "chi2", 0.5, 0.6, effect / 3, drifted=False),
        )
        kept = add_report(yard, scratch, f"<!doctype html><title>{index}</title><h1>Report {index}</h1>")
        ended = first + timedelta(minutes=15 * index)
        details = {
            DriftVerdict.UNDECIDED: "212 rows are too few for a verdict, which needs 500.",
            DriftVerdict.NO_DRIFT: "None of 2 columns differs from the reference by more than chance.",
            DriftVerdict.DRIFT: f"1 of 2 columns differs from the reference: pixels.mean by {effect:.2f} sigma.",
        }
        window = Window(
            endpoint=model,
            model=model,
            version=3,
            first_sequence=index * 500 + 1,
            last_sequence=(index + 1) * 500,
            started_at=ended - timedelta(minutes=14),
            ended_at=ended,
            rows=212 if index == 0 else 500,
            verdict=verdict,
            columns=columns,
            report=kept,
            detail=details[verdict],
            created_at=ended,
        )
        record_window(yard.unit_of_work, window, actor="monitor@yard", now=ended)
        reports.append(kept.digest)
    return reports
