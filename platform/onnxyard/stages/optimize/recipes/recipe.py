"""What a recipe is: a row of passes with a name, and where its result may run."""

from __future__ import annotations

from dataclasses import dataclass

from onnxyard.stages.optimize.passes.transformation import Pass


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way to make a candidate's model from the exported one.

    Attributes:
        name: As in `[optimize] recipes`.
        title: What it does, in a few words.
        passes: In order; each gets what the one before made. None: the exported model as it is.
        precision: What the weights or the arithmetic become: `fp32`, `fp16`, `bf16`, `int8` or `int4`. A target that
            does not allow it is not offered this recipe.
        runtimes: Runtimes that may read the result, as `onnxruntime`; by name or as `RUNTIME:PROVIDER`.
        simplicity: 0 for the baseline; between candidates that measure alike, the smaller number is taken.
        asked: Whether it is tried only where `[optimize] recipes` names it: it needs tools of its own, or long.
    """

    name: str
    title: str
    passes: tuple[Pass, ...]
    precision: str
    runtimes: tuple[str, ...]
    simplicity: int
    asked: bool = False
