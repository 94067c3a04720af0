"""What the targets' ONNX Runtime releases can load decides which opset and IR version are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.releases import Release, release_named

if TYPE_CHECKING:
    from onnxyard.project.project import Project


def ceilings(project: Project) -> dict[str, Release]:
    """By target: the release it says is the oldest there; targets that say nothing are not in it."""
    targets = project.file.targets
    return {
        name: release_named(target.onnxruntime) for name, target in targets.items() if target.onnxruntime is not None
    }


def fitting_opset(project: Project) -> int | None:
    """The opset to export: the stated one, or the default lowered to what every target loads; None as in the project.

    Raises:
        UnsupportedModelError: a target does not load the stated opset; names the target, its release and what fits.
    """
    limits = ceilings(project)
    if project.opset is None or not limits:
        return project.opset
    name, release = min(limits.items(), key=lambda item: item[1].opset)
    if project.opset <= release.opset:
        return project.opset
    if "opset" in project.file.export.model_fields_set:
        raise _too_new(f"Opset {project.opset}", name, release)
    return release.opset


def highest_ir_version(project: Project) -> int | None:
    """The highest IR version that every target loads; None where no target sets a limit."""
    return min((release.ir_version for release in ceilings(project).values()), default=None)


def check_fits(project: Project, opsets: dict[str, int], ir_version: int) -> None:
    """Compare what was written with every target's ceiling: other domains (`ai.onnx.ml`) and finished files too.

    Raises:
        UnsupportedModelError: a target does not load it.
    """
    for name, release in ceilings(project).items():
        if not release.loads(opsets, ir_version):
            domains = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in opsets.items())
            raise _too_new(f"The model ({domains}, IR version {ir_version})", name, release)


def _too_new(what: str, target: str, release: Release) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{what} is too new for the target {target!r}: ONNX Runtime {release.name} loads opset {release.opset} "
        f"(ai.onnx.ml {release.ml}) and IR version {release.ir_version} at most.",
        where=f"[targets.{target}] onnxruntime",
        remedy=f"Set [export] opset = {release.opset} or lower, or raise the target's onnxruntime.",
        target=target,
        highest_opset=release.opset,
    )
