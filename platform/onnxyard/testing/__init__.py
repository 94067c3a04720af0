"""In-memory ports, for tests of what is built on Onnxyard and for our own.

They keep the ports' contracts: the suites in `tests/contract` run over them and over the real adapters alike.
"""

from __future__ import annotations

from onnxyard.testing.artifacts import InMemoryArtifactStore
from onnxyard.testing.predictions import InMemoryPredictionLog
from onnxyard.testing.recorder import InMemoryRecorder
from onnxyard.testing.registry import InMemoryRegistry
from onnxyard.testing.samples import (
    sample_artifact,
    sample_candidate,
    sample_candidates,
    sample_draft,
    sample_latency,
    sample_report,
    sample_result,
    sample_window,
)

__all__ = [
    "InMemoryArtifactStore",
    "InMemoryPredictionLog",
    "InMemoryRecorder",
    "InMemoryRegistry",
    "sample_artifact",
    "sample_candidate",
    "sample_candidates",
    "sample_draft",
    "sample_latency",
    "sample_report",
    "sample_result",
    "sample_window",
]
