"""What validate leaves behind, as a version to register."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.lifecycle.digest import digest_of
from onnxyard.lifecycle.lineage import Lineage
from onnxyard.lifecycle.version import ArtifactRole, Execution, VersionArtifact, VersionDraft, VersionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxyard.lifecycle.handover import DevelopResult, ExportResult, OptimizeResult, ValidateResult
    from onnxyard.project.project import Project


def draft_version(
    project: Project,
    *,
    keys: Mapping[str, str],
    developed: DevelopResult,
    exported: ExportResult,
    optimized: OptimizeResult,
    validated: ValidateResult,
) -> VersionDraft:
    """The draft, keyed by the stages' keys and the artifacts' digests; MLflow's pointers are still missing.

    Args:
        project: The loaded project.
        keys: Each stage's key.
        developed: What develop gave.
        exported: What export gave.
        optimized: What optimize gave.
        validated: What validate gave.
    """
    artifacts = [
        VersionArtifact(
            ArtifactRole.MODEL, m.target, m.model, m.opset, m.ir_version, Execution(m.recipe, m.precision, m.setup)
        )
        for m in optimized.models
    ]
    artifacts += [
        VersionArtifact(ArtifactRole.GOLDEN_SET, "", developed.golden_set),
        VersionArtifact(ArtifactRole.REFERENCE, "", validated.reference),
        VersionArtifact(ArtifactRole.FITTED, "", developed.fitted),
        VersionArtifact(ArtifactRole.SIDECAR, "", exported.sidecar),
    ]
    if developed.processing is not None:
        artifacts.append(VersionArtifact(ArtifactRole.PROCESSING, "", developed.processing))
    named = {f"{each.role}@{each.target}": each.artifact.digest for each in artifacts}
    return VersionDraft(
        model=project.name,
        key=digest_of({"stages": dict(keys), "artifacts": named}),
        verdict=VersionStatus.VALIDATED if validated.passed else VersionStatus.REJECTED,
        signature=developed.signature,
        model_signature=exported.signature,
        lineage=Lineage(
            framework=developed.framework,
            source_digest=project.code_digest,
            data_fingerprint=developed.data_fingerprint,
            git_commit=project.git_commit,
            stage_keys=tuple(keys.items()),
        ),
        artifacts=tuple(artifacts),
        candidates=optimized.candidates,
        gates=validated.gates,
    )
