"""Small valid values to build tests on; every field a test cares for can be named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from onnxyard.lifecycle.artifact import Artifact, ArtifactFile
from onnxyard.lifecycle.candidate import Candidate, Latency, Outcome, Ratio
from onnxyard.lifecycle.deployment import ReplicaReport, ReplicaState
from onnxyard.lifecycle.digest import digest_of
from onnxyard.lifecycle.drift import ColumnDrift, DriftVerdict
from onnxyard.lifecycle.gate import Gate, GateOutcome
from onnxyard.lifecycle.handover import OptimizedModel, OptimizeResult
from onnxyard.lifecycle.lineage import Lineage
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.lifecycle.version import ArtifactRole, Execution, VersionArtifact, VersionDraft, VersionStatus
from onnxyard.lifecycle.window import Window

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


SAMPLE_SETUP = Setup("onnxruntime", "CPUExecutionProvider", 1)
SAMPLE_EXECUTION = Execution("fp32", "fp32", SAMPLE_SETUP)


def sample_artifact(name: str = "model.onnx", content: str = "") -> Artifact:
    """A manifest of one file; no bytes are behind it."""
    return Artifact((ArtifactFile(name, digest_of([name, content]), 1234),))


def sample_latency(p50_ms: float, *, baseline_ms: float, batch_size: int = 1, **changed: Any) -> Latency:  # noqa: ANN401 - any field
    """One batch size's calls, with intervals as tight as 200 calls in six processes give them."""
    ratio = p50_ms / baseline_ms
    values: dict[str, Any] = {
        "low_ms": p50_ms * 0.94,
        "high_ms": p50_ms * 1.07,
        "p99_ms": p50_ms * 1.6,
        "cpu_ms": p50_ms * 1.02,
        "calls": 1200,
        "ratio": Ratio(1.0, 1.0, 1.0) if ratio == 1 else Ratio(ratio, ratio * 0.96, ratio * 1.05),
    }
    return Latency(batch_size=batch_size, p50_ms=p50_ms, **{**values, **changed})


def sample_candidate(recipe: str = "fp32", p50_ms: float | None = 0.13, **changed: Any) -> Candidate:  # noqa: ANN401 - any field
    """A measured candidate for `cpu`, timed beside a baseline of 0.13 ms; untimed without `p50_ms`."""
    latencies = (
        ()
        if p50_ms is None
        else (
            sample_latency(p50_ms, baseline_ms=0.13),
            sample_latency(p50_ms * 6, baseline_ms=0.13 * 6, batch_size=8),
        )
    )
    values: dict[str, Any] = {
        "name": recipe,
        "target": "cpu",
        "setup": SAMPLE_SETUP,
        "outcome": Outcome.MEASURED,
        "precision": recipe.partition("-")[0],
        "artifact": Artifact((ArtifactFile("model.onnx", digest_of(["candidate", recipe]), 41_000),)),
        "quality": 0.98,
        "drop_high": 0.0,
        "latencies": latencies,
        "ratio": latencies[0].ratio if latencies else None,
        "cost": p50_ms,
        "memory_bytes": 9_400_000,
        "load_ms": 4.2,
        "placement": {"CPUExecutionProvider": 12},
    }
    return Candidate(recipe=recipe, **{**values, **changed})


def sample_candidates(target: str = "cpu") -> tuple[Candidate, ...]:
    """What a search leaves behind: every outcome, a tie, two ways to run one model, an emulated one without a speed."""
    openvino = Setup("openvino", "CPU", 1, {"precision": "bf16"})
    small = Artifact((ArtifactFile("model.onnx", digest_of(["candidate", "int8-qdq"]), 13_000),))
    found = (
        sample_candidate(note="the baseline", pareto=True),
        sample_candidate("onnxslim", 0.128, note="a tie with fp32, which is simpler", facts={"nodes": "21 of 24"}),
        sample_candidate(
            "fp32",
            0.051,
            name="fp32 · openvino precision=bf16",
            setup=openvino,
            precision="bf16",
            quality=0.979,
            drop_high=0.004,
            memory_bytes=31_000_000,
            load_ms=61.0,
            placement={"CPU bf16": 9},
            pareto=True,
            chosen=True,
            note="fp32 · openvino precision=bf16 has 0.392 [0.377, 0.412] times fp32's median latency, and accuracy "
            "drops by at most 0.004 (95% confidence)",
        ),
        sample_candidate(
            "int8-qdq",
            0.061,
            artifact=small,
            quality=0.972,
            drop_high=0.014,
            pareto=True,
            facts={"quantized": "18 of 21 nodes", "kept in float": "conv1: it alone costs 0.02 of accuracy"},
            note="may lose 0.014 accuracy, and 0.01 is allowed",
        ),
        sample_candidate(
            "int8-qdq",
            None,
            name="int8-qdq · onnxruntime QNNExecutionProvider",
            setup=Setup("onnxruntime", "QNNExecutionProvider", 1),
            artifact=small,
            quality=0.969,
            drop_high=0.018,
            memory_bytes=None,
            load_ms=None,
            placement={"QNNExecutionProvider": 12},
            note="emulated on this machine: its answers count, a speed it has none",
        ),
        sample_candidate(
            "fp16",
            0.31,
            outcome=Outcome.STOPPED,
            quality=None,
            drop_high=None,
            memory_bytes=None,
            load_ms=None,
            note="stopped after 40 calls: 2.4 times the baseline's p50",
        ),
        sample_candidate(
            "int4-weights",
            None,
            outcome=Outcome.REFUSED,
            precision="",
            artifact=None,
            quality=None,
            drop_high=None,
            memory_bytes=None,
            load_ms=None,
            placement={},
            note="it changed nothing: 0 of 3 nodes can be quantized to 4 bits",
        ),
        sample_candidate(
            "int8-dynamic",
            None,
            outcome=Outcome.FAILED,
            precision="",
            artifact=None,
            quality=None,
            drop_high=None,
            memory_bytes=None,
            load_ms=None,
            placement={},
            note="the quantizer failed: ValueError: <Conv> with 'auto_pad' & group=2",
        ),
    )
    return tuple(replace(candidate, target=target) for candidate in found)


def sample_result() -> OptimizeResult:
    """A search for one target, `cpu`."""
    candidates = sample_candidates()
    models = tuple(
        OptimizedModel(each.target, each.recipe, each.setup, each.precision, each.artifact, 20, 10)
        for each in candidates
        if each.chosen and each.artifact is not None
    )
    return OptimizeResult(candidates, models, sample_artifact("report.html"))


def sample_draft(model: str = "digits", key: str = "key", **changed: Any) -> VersionDraft:  # noqa: ANN401 - any field
    """A draft that passed its gates, or, with `verdict=VersionStatus.REJECTED`, one whose quality gate failed."""
    rejected = changed.get("verdict") is VersionStatus.REJECTED
    quality = Gate(
        "quality:accuracy@cpu",
        0.5 if rejected else 0.97,
        0.93,
        GateOutcome.FAILED if rejected else GateOutcome.PASSED,
        bound=0.45 if rejected else 0.95,
        rows=540,
        detail="on the test split",
    )
    values: dict[str, Any] = {
        "verdict": VersionStatus.VALIDATED,
        "signature": Signature(
            (TensorSpec("image", "UINT8", ("batch", 8, 8)),), (TensorSpec("digit", "INT64", ("batch",)),)
        ),
        "model_signature": Signature(
            (TensorSpec("x", "FLOAT", ("batch", 1, 8, 8)),), (TensorSpec("logits", "FLOAT", ("batch", 10)),)
        ),
        "lineage": Lineage("torch 2.13.0", "ab" * 32, "cd" * 32, "0123abc", (("develop", "d1"), ("export", "e1"))),
        "artifacts": (
            VersionArtifact(ArtifactRole.MODEL, "cpu", sample_artifact(content=key), 20, 10, SAMPLE_EXECUTION),
            VersionArtifact(ArtifactRole.GOLDEN_SET, "", sample_artifact("raw/index.json")),
            VersionArtifact(ArtifactRole.REFERENCE, "", sample_artifact("reference.json")),
        ),
        "candidates": sample_candidates(),
        "gates": (Gate("parity@cpu", 1e-6, 1e-3, GateOutcome.PASSED), quality),
        "mlflow_run_id": "0a1b",
        "mlflow_model_version": "1",
    }
    return VersionDraft(model=model, key=key, **{**values, **changed})


def sample_window(endpoint: str = "digits", **changed: Any) -> Window:  # noqa: ANN401 - any field
    """A window without drift, of version 1 of the model named as the endpoint."""
    values: dict[str, Any] = {
        "model": endpoint,
        "version": 1,
        "first_sequence": 1,
        "last_sequence": 500,
        "started_at": NOON,
        "ended_at": NOON,
        "rows": 500,
        "verdict": DriftVerdict.NO_DRIFT,
        "columns": (ColumnDrift("image.mean", "ks", 0.4, 0.6, 0.02, drifted=False),),
        "report": sample_artifact("report.html"),
        "detail": "no column drifted",
        "created_at": NOON,
    }
    return Window(endpoint=endpoint, **{**values, **changed})


def sample_report(endpoint: str = "digits", **changed: Any) -> ReplicaReport:  # noqa: ANN401 - any field
    """A replica that serves version 1 at generation 1."""
    values: dict[str, Any] = {
        "replica": "host:8080",
        "url": "http://127.0.0.1:8080",
        "generation": 1,
        "state": ReplicaState.SERVING,
        "version": 1,
        "digest": "ef" * 32,
        "provider": "CPUExecutionProvider",
        "runtime": "onnxruntime 1.32.0",
        "precision": "fp32",
        "message": "",
        "seen_at": NOON,
    }
    return ReplicaReport(endpoint=endpoint, **{**values, **changed})
