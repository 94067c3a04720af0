"""The passport: what a person or an auditor asks of a model version, on one page."""

from __future__ import annotations

from dataclasses import dataclass

from onnxyard.lifecycle.deployment import Deployment, ReplicaReport
from onnxyard.lifecycle.version import ModelVersion, VersionStatus


@dataclass(frozen=True, slots=True)
class Passport:
    """A version with its present status, where it is or was deployed, and what replicas say of it at run time."""

    version: ModelVersion
    status: VersionStatus
    deployments: tuple[Deployment, ...]
    replicas: tuple[ReplicaReport, ...]
