"""A lifecycle's outcome as the JSON that `onnxyard run --json` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from onnxyard.cli.candidates import candidate_document, finite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onnxyard.lifecycle.handover import ExportResult, OptimizeResult
    from onnxyard.lifecycle.version import ModelVersion, VersionStatus
    from onnxyard_flows.stage_tasks import Done


def run_document(
    *,
    model: str,
    done: Mapping[str, Done],
    mlflow_run_id: str | None,
    version: ModelVersion | None = None,
    status: VersionStatus | None = None,
    exported: ExportResult | None = None,
    optimized: OptimizeResult | None = None,
    report: Path | None = None,
    endpoint: str | None = None,
    generation: int | None = None,
) -> dict[str, Any]:
    """The document; what a run that stopped early (`--until`) did not reach is null or empty.

    Latencies are in milliseconds, sizes in bytes, stages' times in seconds of this run.
    """
    candidates = version.draft.candidates if version is not None else optimized.candidates if optimized else ()
    return {
        "model": model,
        "version": version.number if version is not None else None,
        "status": status.value if status is not None else None,
        "mlflow_run_id": mlflow_run_id,
        "stages": {name: {"seconds": round(each.seconds, 3), "reused": each.reused} for name, each in done.items()},
        "export": None if exported is None else _export(exported),
        "candidates": [candidate_document(candidate) for candidate in candidates],
        "report": None if report is None else str(report),
        "gates": [
            {
                "name": gate.name,
                "observed": finite(gate.observed),
                "threshold": gate.threshold,
                "passed": gate.passed,
            }
            for gate in (version.draft.gates if version is not None else ())
        ],
        "artifacts": [
            {
                "target": each.target,
                "digest": each.artifact.digest,
                "files": [
                    {"path": file.path, "sha256": file.sha256, "size_bytes": file.size_bytes}
                    for file in each.artifact.files
                ],
                "opset": each.opset,
                "ir_version": each.ir_version,
            }
            for each in (version.models if version is not None else ())
        ],
        "endpoint": endpoint,
        "generation": generation,
    }


def _export(exported: ExportResult) -> dict[str, Any]:
    return {
        "exporter": exported.exporter,
        "opset": exported.opset,
        "ir_version": exported.ir_version,
        "nodes": exported.nodes,
        "max_error": finite(exported.max_error),
        "remedies": list(exported.remedies),
        "findings": [asdict(finding) for finding in exported.findings],
    }
