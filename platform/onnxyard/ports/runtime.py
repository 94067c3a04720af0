"""Where a model runs."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from onnxyard.lifecycle.signature import Signature


NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
"""Everything as the runtime has it by default."""


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

    @property
    def options(self) -> Mapping[str, tuple[str, ...]]:
        """What can be tuned: by option, the values it takes, the default first. `onnxyard.lifecycle.setup.Setup`."""
        ...

    @property
    def numeric(self) -> frozenset[str]:
        """The options that change answers and not speed alone, as a precision."""
        ...

    def load(
        self, model_file: Path, *, provider: str, threads: int, options: Mapping[str, str] = NO_OPTIONS
    ) -> LoadedModel:
        """Load a model file whose digest was verified.

        Args:
            model_file: The model's entry file: ONNX, or the form that the runtime compiles it to.
            provider: The execution provider or device that must run it; a silent fallback is an error.
            threads: Intra-op threads; 0 lets the runtime choose.
            options: What differs from the defaults.

        Raises:
            UnsupportedModelError: the runtime or the provider cannot run it.
            ArtifactCorruptError: the file is not a model.
            InvalidRequestError: there is no such option, or it takes other values.
            MissingExtraError: the provider's package is not installed.
        """
        ...

    def placement(
        self,
        model_file: Path,
        *,
        provider: str,
        threads: int,
        options: Mapping[str, str] = NO_OPTIONS,
        inputs: Mapping[str, np.ndarray],
    ) -> dict[str, int]:
        """Run the model once, and read back which provider executed how many nodes, as `{"CPUExecutionProvider": 12}`.

        Where the runtime tells in which precision it computed, that stands behind the name, as `CPU bf16`. Raises as
        `load` and `LoadedModel.run`.
        """
        ...
