"""A model version's passport: as JSON, and as a page for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Group
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onnxyard.cli.candidates import candidate_document, candidates_page, finite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from onnxyard.lifecycle.deployment import Deployment, ReplicaReport
    from onnxyard.lifecycle.passport import Passport
    from onnxyard.lifecycle.signature import TensorSpec
    from onnxyard.lifecycle.version import Execution, ModelVersion, VersionStatus

STATUS_STYLE = {"live": "bold green", "validated": "green", "rejected": "bold red"}


def moment(time: datetime) -> str:
    """A time for people, in UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def version_document(version: ModelVersion, status: VersionStatus) -> dict[str, object]:
    """One version as `versions --json` and `show --json` print it."""
    draft = version.draft
    return {
        "model": draft.model,
        "version": version.number,
        "status": status.value,
        "created_at": version.created_at.isoformat(),
        "mlflow_run_id": draft.mlflow_run_id,
        "gates": [
            {
                "name": gate.name,
                "observed": finite(gate.observed),
                "threshold": gate.threshold,
                "outcome": gate.outcome.value,
                "passed": gate.passed,
                "unit": gate.unit,
                "bound": finite(gate.bound),
                "rows": gate.rows,
                "detail": gate.detail,
            }
            for gate in draft.gates
        ],
    }


def passport_document(passport: Passport) -> dict[str, object]:
    """The whole passport, JSON-compatible."""
    draft = passport.version.draft
    lineage = draft.lineage
    return {
        **version_document(passport.version, passport.status),
        "signature": draft.signature.document(),
        "model_signature": draft.model_signature.document(),
        "lineage": {
            "framework": lineage.framework,
            "git_commit": lineage.git_commit,
            "source_digest": lineage.source_digest,
            "data_fingerprint": lineage.data_fingerprint,
            "stage_keys": dict(lineage.stage_keys),
        },
        "artifacts": [
            {
                "role": a.role.value,
                "target": a.target,
                "digest": a.artifact.digest,
                "files": [{"path": f.path, "sha256": f.sha256, "size_bytes": f.size_bytes} for f in a.artifact.files],
                "opset": a.opset,
                "ir_version": a.ir_version,
                "execution": None if a.execution is None else asdict(a.execution),
            }
            for a in draft.artifacts
        ],
        "candidates": [candidate_document(c) for c in draft.candidates],
        "deployments": [deployment_document(d) for d in passport.deployments],
        "replicas": [replica_document(r) for r in passport.replicas],
    }


def deployment_document(deployment: Deployment) -> dict[str, object]:
    """One role at one generation, JSON-compatible."""
    return {
        "endpoint": deployment.endpoint,
        "generation": deployment.generation,
        "role": deployment.role.value,
        "model": deployment.model,
        "version": deployment.version,
        "target": deployment.target,
        "kind": deployment.kind.value,
        "actor": deployment.actor,
        "reason": deployment.reason,
        "created_at": deployment.created_at.isoformat(),
    }


def replica_document(report: ReplicaReport) -> dict[str, object]:
    """What a replica says of itself, JSON-compatible."""
    return {
        "replica": report.replica,
        "endpoint": report.endpoint,
        "url": report.url,
        "generation": report.generation,
        "state": report.state.value,
        "version": report.version,
        "digest": report.digest,
        "provider": report.provider,
        "runtime": report.runtime,
        "precision": report.precision,
        "message": report.message,
        "seen_at": report.seen_at.isoformat(),
    }


def passport_page(passport: Passport) -> RenderableType:
    """The passport for people: what it is, where it came from, how it was judged, where it runs and who said so."""
    version, draft = passport.version, passport.version.draft
    lineage = draft.lineage
    title = Text.assemble(
        (f"{draft.model}@{version.number}", "bold"),
        "  ",
        (passport.status.value.upper(), STATUS_STYLE[passport.status]),
        f"  registered {moment(version.created_at)}",
    )
    facts = [
        ("source", lineage.framework),
        ("git commit", lineage.git_commit or "none (not in a git repository)"),
        ("project", lineage.source_digest),
        ("data", lineage.data_fingerprint),
        ("MLflow run", draft.mlflow_run_id or "none"),
        ("takes", "; ".join(map(_spec, draft.signature.inputs))),
        ("gives", "; ".join(map(_spec, draft.signature.outputs))),
    ]
    parts: list[RenderableType] = [title, _table((), facts)]
    sections: list[tuple[str, Sequence[str], list[tuple[str, ...]]]] = [
        (
            "Artifacts",
            ("role", "target", "digest", "bytes", "opset", "IR", "made for"),
            [
                (
                    a.role,
                    a.target,
                    a.artifact.digest,
                    f"{a.artifact.size_bytes:,}",
                    _shown(a.opset),
                    _shown(a.ir_version),
                    "" if a.execution is None else _execution(a.execution),
                )
                for a in draft.artifacts
            ],
        ),
        (
            "Gates",
            ("gate", "observed", "threshold", "outcome", "rows", "detail"),
            [
                (
                    g.name,
                    f"{_shown(g.observed)} {g.unit}".strip(),
                    f"{_shown(g.threshold)} {g.unit}".strip(),
                    g.outcome.value,
                    _shown(g.rows),
                    g.detail,
                )
                for g in draft.gates
            ],
        ),
        (
            "Deployments",
            ("endpoint", "generation", "role", "since", "by", "how", "why"),
            [
                (d.endpoint, str(d.generation), d.role, moment(d.created_at), d.actor, d.kind.value, d.reason)
                for d in passport.deployments
            ],
        ),
        (
            "Replicas",
            ("replica", "endpoint", "state", "provider", "runtime", "precision", "seen"),
            [
                (
                    r.replica,
                    r.endpoint,
                    r.state.value,
                    r.provider or "-",
                    r.runtime or "-",
                    r.precision or "-",
                    moment(r.seen_at),
                )
                for r in passport.replicas
            ],
        ),
    ]
    for heading, columns, rows in sections:
        if rows:
            parts += [Text(f"\n{heading}", style="bold"), _table(columns, rows)]
        if heading == "Artifacts" and draft.candidates:
            searched = candidates_page([candidate_document(c) for c in draft.candidates])
            parts += [Text("\nCandidates", style="bold"), Padding(searched, (0, 0, 0, 2))]
    return Group(*parts)


def _table(columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> RenderableType:
    table = Table(*columns, box=None, show_header=bool(columns), header_style="dim", pad_edge=False)
    for _ in rows[0][len(columns) :]:
        table.add_column()
    for column in table.columns:
        column.overflow = "fold"  # a digest is shown whole or it proves nothing
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return Padding(table, (0, 0, 0, 2))


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _spec(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype}[{', '.join(map(str, spec.shape))}]"


def _execution(execution: Execution) -> str:
    return f"{execution.precision} on {execution.setup}"
