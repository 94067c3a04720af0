"""Where finished models come from: registries and zoos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class ModelOrigin(Protocol):
    """A place that has finished ONNX models. Its network is used here and nowhere else: stages have none."""

    def fetch(self, reference: str, folder: Path) -> str:
        """Bring a model: `model.onnx` and its external data.

        Args:
            reference: What the project file says, as `models:/digits@champion` or `zoo:ResNet50@13`.
            folder: An empty folder; nothing in it counts before this returns.

        Returns:
            What was found, exactly: as `models:/digits/3` (an alias may point elsewhere tomorrow).

        Raises:
            NotFoundError: there is no such model, version, alias or opset.
            InvalidRequestError: the reference makes no sense.
            UnsupportedModelError: it is there, and is no ONNX model.
            ArtifactCorruptError: what came is not what was promised (sha256).
            UnreachableError: the place does not answer.
            StorageFullError: no space is left.
        """
        ...
