"""Where a model runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from onnxyard.lifecycle.signature import Signature


class LoadedModel(Protocol):
    """A model ready to run. Thread-safe: many threads may call `run` at once."""

    @property
    def signature(self) -> Signature:
        """As the runtime sees it."""
        ...

    @property
    def runtime(self) -> str:
        """As `onnxruntime 1.32.0`."""
        ...

    @property
    def provider(self) -> str:
        """The provider that really runs it, read back from the session and not from the wish."""
        ...

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name. Raises InvalidRequestError for a wrong name, dtype or shape."""
        ...


class Runtime(Protocol):
    """Loads models."""

    def load(self, model_file: Path, *, provider: str, threads: int) -> LoadedModel:
        """Load a model file whose digest was verified.

        Args:
            model_file: The ONNX file.
            provider: The execution provider or device that must run it; a silent fallback is an error.
            threads: Intra-op threads; 0 lets the runtime choose.

        Raises:
            UnsupportedModelError: the runtime or the provider cannot run it.
            ArtifactCorruptError: the file is not a model.
        """
        ...
