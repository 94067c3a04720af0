"""Register what validate leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import ConflictError, InvalidRequestError
from onnxyard.lifecycle.version import ArtifactRole, VersionStatus

if TYPE_CHECKING:
    from datetime import datetime

    from onnxyard.lifecycle.version import ModelVersion, VersionDraft
    from onnxyard.ports.unit_of_work import UnitOfWorkFactory


def register(unit_of_work: UnitOfWorkFactory, draft: VersionDraft, *, actor: str, now: datetime) -> ModelVersion:
    """Give the draft its number; the same key again gives the version that is there.

    The artifacts must be in the store already: a file without a row is harmless, a row without its file is not.

    Raises:
        InvalidRequestError: the draft has no model, its verdict is none, or it passed with a gate that did not.
        UnreachableError, StorageFullError: the registry could not be written; nothing was.
    """
    _inspect(draft)
    with unit_of_work() as work:
        present = work.versions.by_key(draft.model, draft.key)
        if present is not None:
            return present
        try:
            version = work.versions.add(draft, at=now)
        except ConflictError:
            # Somebody registered the same key between our look and our insert; then theirs is the version.
            present = _registered(unit_of_work, draft)
            if present is None:
                raise
            return present
        work.audit.add(
            at=now,
            actor=actor,
            action="version.register",
            subject=f"{draft.model}@{version.number}",
            detail={
                "verdict": draft.verdict.value,
                "key": draft.key,
                "artifacts": {
                    f"{a.role}@{a.target}" if a.target else a.role.value: a.artifact.digest for a in draft.artifacts
                },
                "gates_not_passed": [gate.name for gate in draft.gates if not gate.passed],
            },
        )
        work.commit()
    return version


def _inspect(draft: VersionDraft) -> None:
    if not any(artifact.role is ArtifactRole.MODEL for artifact in draft.artifacts):
        raise InvalidRequestError(f"A version of {draft.model} needs at least one model artifact.")
    if draft.verdict is VersionStatus.LIVE:
        raise InvalidRequestError("A draft is validated or rejected; live is what deployments make of it.")
    failed = [gate.name for gate in draft.gates if not gate.passed]
    if failed and draft.verdict is VersionStatus.VALIDATED:
        raise InvalidRequestError(f"A version whose gate {failed[0]} did not pass cannot be validated.", gates=failed)


def _registered(unit_of_work: UnitOfWorkFactory, draft: VersionDraft) -> ModelVersion | None:
    with unit_of_work() as work:
        return work.versions.by_key(draft.model, draft.key)
