"""What a recipe is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np

    Calibration = Callable[[], Iterator[dict[str, np.ndarray]]]


class Recipe(Protocol):
    """Makes a candidate."""

    def __call__(self, source: Path, folder: Path, calibration: Calibration) -> Path:
        """Write the candidate below `folder` (empty) and return its file.

        Args:
            source: The exported model.
            folder: Where to write `model.onnx`.
            calibration: Gives the calibration split's model inputs in batches, from the beginning at each call.

        Raises:
            UnsupportedModelError: the recipe has nothing to offer for this model.
        """
        ...
