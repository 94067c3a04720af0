"""Small valid values to build tests on; every field a test cares for can be named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from onnxyard.lifecycle.artifact import Artifact, ArtifactFile
from onnxyard.lifecycle.candidate import Candidate
from onnxyard.lifecycle.deployment import ReplicaReport, ReplicaState
from onnxyard.lifecycle.digest import digest_of
from onnxyard.lifecycle.drift import ColumnDrift, DriftVerdict
from onnxyard.lifecycle.gate import Gate, GateOutcome
from onnxyard.lifecycle.lineage import Lineage
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.lifecycle.version import ArtifactRole, Execution, VersionArtifact, VersionDraft, VersionStatus
from onnxyard.lifecycle.window import Window

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


SAMPLE_EXECUTION = Execution("fp32", "fp32", "onnxruntime", "CPUExecutionProvider", 1)


def sample_artifact(name: str = "model.onnx", content: str = "") -> Artifact:
    """A manifest of one file; no bytes are behind it."""
    return Artifact((ArtifactFile(name, digest_of([name, content]), 1234),))


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
        "candidates": (
            Candidate("fp32", "cpu", 0.98, 0.13, 0.2, 41_000, chosen=True, note="none is faster than fp32"),
            Candidate("int8-qdq", "cpu", 0.97, 0.21, 0.3, 13_000, note="slower than fp32"),
            Candidate("int8-dynamic", "cpu", None, None, None, None, note="not measured"),
        ),
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
