"""What develop takes."""

from __future__ import annotations

from dataclasses import dataclass

from onnxyard.project.project import Project
from onnxyard.sources.by_name import versions_of
from onnxyard.stages.reuse import stage_key


@dataclass(frozen=True)
class DevelopRequest:
    """Train (or take) the project's model.

    Attributes:
        project: The loaded project.
    """

    project: Project

    def key(self) -> str:
        """Depends on the project's code, data files and its [project] and [develop] sections, and its steps."""
        return stage_key(
            "develop",
            {
                "code": self.project.code_digest,
                "config": self.project.sections("project", "develop", "preprocess", "postprocess"),
            },
            versions=versions_of(self.project),
        )
