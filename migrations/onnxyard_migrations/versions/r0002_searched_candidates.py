"""Candidates as a search finds them, with setup, outcome and intervals; the options of a model's setup."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BASELINE = "fp32"
"""The recipe that the others were compared with."""


def upgrade() -> None:
    """Make the table of candidates anew, with the old rows in it, and give models their setup's options.

    An old row says p50 and p99 of one batch size (1, unless the project file said otherwise) and nothing of intervals:
    those stay unknown. How a chosen one was run, and its files, stand with the version's model for that target.
    """
    bind = op.get_bind()
    models = {(row["version_id"], row["target"]): row for row in _rows("version_artifacts") if row["role"] == "model"}
    manifests: dict[int, list[dict[str, Any]]] = {}
    for row in sorted(_rows("artifact_files"), key=lambda row: row["path"]):
        entry = {name: row[name] for name in ("path", "sha256", "size_bytes")}
        manifests.setdefault(row["artifact_id"], []).append(entry)
    old = _rows("candidates")
    baselines = {(row["version_id"], row["target"]): row["p50_ms"] for row in old if row["recipe"] == BASELINE}
    op.drop_table("candidates")
    made = _create_candidates()
    for row in old:
        place = (row["version_id"], row["target"])
        bind.execute(made.insert(), _searched(row, models.get(place, {}), manifests, baselines.get(place)))
    op.add_column("version_artifacts", sa.Column("options", sa.JSON(none_as_null=True), nullable=True))
    op.execute("UPDATE version_artifacts SET options = '{}' WHERE runtime IS NOT NULL")


def downgrade() -> None:
    """Make the old table of candidates anew: a recipe is unique in it, so a candidate goes there by its whole name."""
    old = _rows("candidates")
    op.drop_table("candidates")
    made = op.create_table(
        "candidates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("recipe", sa.String(length=200), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("quality", sa.Double(), nullable=True),
        sa.Column("p50_ms", sa.Double(), nullable=True),
        sa.Column("p99_ms", sa.Double(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_candidates_version_id_versions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidates")),
        sa.UniqueConstraint("version_id", "target", "recipe", name=op.f("uq_candidates_version_id_target_recipe")),
    )
    kept = ("version_id", "position", "target", "quality", "p50_ms", "p99_ms", "size_bytes", "chosen", "note")
    for row in old:
        op.get_bind().execute(made.insert(), {"recipe": row["name"][:200], **{name: row[name] for name in kept}})
    op.drop_column("version_artifacts", "options")


def _create_candidates() -> sa.Table:
    return op.create_table(
        "candidates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("recipe", sa.String(length=200), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("runtime", sa.String(length=200), nullable=False),
        sa.Column("provider", sa.String(length=200), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "measured",
                "stopped",
                "refused",
                "failed",
                name="outcome",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("precision", sa.String(length=200), nullable=False),
        sa.Column("portable", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("files", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("quality", sa.Double(), nullable=True),
        sa.Column("drop_high", sa.Double(), nullable=True),
        sa.Column("p50_ms", sa.Double(), nullable=True),
        sa.Column("p99_ms", sa.Double(), nullable=True),
        sa.Column("latencies", sa.JSON(), nullable=False),
        sa.Column("ratio", sa.Double(), nullable=True),
        sa.Column("ratio_low", sa.Double(), nullable=True),
        sa.Column("ratio_high", sa.Double(), nullable=True),
        sa.Column("cost", sa.Double(), nullable=True),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("load_ms", sa.Double(), nullable=True),
        sa.Column("placement", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("pareto", sa.Boolean(), nullable=False),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_candidates_version_id_versions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidates")),
        sa.UniqueConstraint("version_id", "target", "name", name=op.f("uq_candidates_version_id_target_name")),
    )


def _searched(
    row: dict[str, Any], model: dict[str, Any], manifests: dict[int, list[dict[str, Any]]], baseline: float | None
) -> dict[str, Any]:
    """An old candidate as a new row: all of a target ran alike, and the chosen one's files are the model's."""
    chosen = bool(row["chosen"] and model)
    ratio = row["p50_ms"] / baseline if baseline and row["p50_ms"] is not None else None
    latency = {
        "batch_size": 1,
        "p50_ms": row["p50_ms"],
        "low_ms": None,
        "high_ms": None,
        "p99_ms": row["p99_ms"],
        "cpu_ms": None,
        "calls": 0,
        "ratio": [ratio, None, None],
    }
    kept = ("version_id", "position", "recipe", "target", "quality", "p50_ms", "p99_ms", "size_bytes", "chosen", "note")
    return {
        **{name: row[name] for name in kept},
        "name": row["recipe"],
        "runtime": model.get("runtime") or "onnxruntime",
        "provider": model.get("provider") or "CPUExecutionProvider",
        "threads": model.get("threads") or 0,
        "options": {},
        "outcome": "failed" if row["p50_ms"] is None else "measured",
        "precision": (model.get("precision") if chosen else None) or "",
        "portable": True,
        "digest": model["digest"] if chosen else None,
        "files": manifests.get(model["id"]) if chosen else None,
        "latencies": [] if row["p50_ms"] is None else [latency],
        "ratio": ratio,
        "placement": {},
        # The size is read off the files, which only a chosen one has here.
        "facts": {} if chosen or row["size_bytes"] is None else {"size": f"{row['size_bytes']:,} bytes"},
        "pareto": False,
    }


def _rows(name: str) -> list[dict[str, Any]]:
    """All rows of a table, in the order of their keys."""
    table = sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())
    return [dict(row) for row in op.get_bind().execute(sa.select(table).order_by(*table.primary_key)).mappings()]
