"""What a pass is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    Batches = Callable[[], Iterator[dict[str, np.ndarray]]]
    Score = Callable[[Path], float]


@dataclass(frozen=True, slots=True)
class Materials:
    """What a pass may look at beside the model.

    Attributes:
        calibration: The calibration split's model inputs in batches of at most 32 rows, from the beginning at each
            call: float32 [rows, ...] and so on, by input name.
        score: The project's metric (larger is better) of a model file on the calibration split, run by ONNX Runtime on
            the CPU. Raises UnsupportedModelError where it does not run.
        max_drop: How far that metric may fall below the source's.
    """

    calibration: Batches
    score: Score
    max_drop: float


@dataclass(frozen=True, slots=True)
class Transformed:
    """What a pass made of a model.

    Attributes:
        file: The model's entry file in the folder that was given: `model.onnx`, unless a runtime wants another form.
        changed: Whether anything is different. A recipe all of whose passes changed nothing is told as such, not as a
            success.
        facts: What was done, in words by topic, as `{"quantized": "18 of 21 nodes"}`; empty where nothing was.
    """

    file: Path
    changed: bool
    facts: Mapping[str, str] = field(default_factory=dict)


class Pass(Protocol):
    """A frozen dataclass whose fields are its parameters: together with its source they are the key of what it makes.

    Class attributes:
        packages: Distributions that do its work, as `onnxslim`: their versions are part of the key.
        calibrates: Whether it looks at the materials: their digest is part of the key then.
    """

    @property
    def packages(self) -> tuple[str, ...]: ...

    @property
    def calibrates(self) -> bool: ...

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        """Write the transformed model below `folder`.

        Args:
            source: The model's entry file; its folder may hold weights beside it. Left as it is.
            folder: Empty; whatever lies in it afterwards is the model. Scratch files belong elsewhere.
            materials: Calibration rows and the metric.

        Raises:
            UnsupportedModelError: the pass has nothing to offer for this model, and why.
            MissingExtraError: a package that it needs is not installed, naming the extra.
        """
        ...
