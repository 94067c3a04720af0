"""A case of the suite: a small module, its inputs, and what must become of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

FOLDER = Path(__file__).resolve().parent / "modules"
REFUSED_HERE = "# refused"
"""Stands behind the source line that a refusal must name."""


class Outcome(StrEnum):
    """What must become of a module."""

    MATCHES = "matches"
    """It exports, and answers as torch does at every batch size."""
    REFUSED = "refused"
    """There is no right graph: it is refused, and the module and the line are named."""
    WARNED = "warned"
    """A graph can be made, but not one that answers as the module does: the doctor says why."""


@dataclass(frozen=True)
class Case:
    """One module of the suite.

    Attributes:
        name: As `resize/bilinear-odd`.
        make: Makes the module; the seed is set before.
        inputs: By name: makes an array from a generator and a number of rows.
        outcome: What must become of it.
        rows: Rows of the example that the plain export is given; ours takes the golden set's.
        outputs: Names of its outputs.
        axes: As in a project file: the axes of inputs that have dynamic ones behind the batch.
        finding: The code of what the doctor must find; empty where it must find nothing to warn of.
        path: The module's path that a refusal must name.
        translations: The project's own, by operator.
    """

    name: str
    make: Callable[[], nn.Module]
    inputs: dict[str, Callable[[np.random.Generator, int], np.ndarray]]
    outcome: Outcome = Outcome.MATCHES
    rows: int = 2
    outputs: tuple[str, ...] = ("y",)
    axes: dict[str, tuple[int | str, ...]] = field(default_factory=dict)
    finding: str = ""
    path: str = ""
    translations: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def module(self) -> nn.Module:
        """The same module each time, in eval mode, without gradients."""
        torch._dynamo.reset()  # what a case before did to the compiler behind torch.cond is no part of this one
        torch.manual_seed(0)
        return self.make().eval().requires_grad_(requires_grad=False)

    def example(self, rows: int, seed: int) -> dict[str, np.ndarray]:
        """The same inputs for the same seed."""
        random = np.random.default_rng(seed)
        return {name: make(random, rows) for name, make in self.inputs.items()}

    def place(self) -> str:
        """`file:line` that a refusal must name."""
        part = self.module().get_submodule(self.path)
        lines, first = inspect.getsourcelines(type(part))
        number = first + next(at for at, line in enumerate(lines) if REFUSED_HERE in line)
        return f"{Path(inspect.getfile(type(part))).name}:{number}"


REFUSED, WARNED = Outcome.REFUSED, Outcome.WARNED
CASES: list[Case] = []


def case(
    name: str, *, outcome: Outcome = Outcome.MATCHES, **settings: Any
) -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:
    """Put a module, or what makes one, into the suite.

    Args:
        name: The case's.
        outcome: What must become of it.
        **settings: Other attributes of `Case`, and the inputs: a tuple is the shape of one row of normal float32
            numbers, a callable makes the array.
    """
    known = {key: settings.pop(key) for key in list(settings) if key in Case.__dataclass_fields__}
    inputs = {key: normal(*value) if isinstance(value, tuple) else value for key, value in settings.items()}

    def keep(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        CASES.append(Case(name, make, inputs, outcome, **known))
        return make

    return keep


def normal(*shape: int, scale: float = 1.0) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Normal float32 numbers."""
    return lambda random, rows: (random.normal(size=(rows, *shape)) * scale).astype(np.float32)


def uniform(*shape: int, low: float = 0.1, high: float = 1.0) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Float32 numbers between two bounds."""
    return lambda random, rows: random.uniform(low, high, size=(rows, *shape)).astype(np.float32)


def integers(
    *shape: int, low: int = 0, high: int = 10, dtype: type = np.int64
) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Whole numbers from `low` to below `high`."""
    return lambda random, rows: random.integers(low, high, size=(rows, *shape)).astype(dtype)


def definite(size: int) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Symmetric, positive-definite, well-conditioned matrices."""

    def make(random: np.random.Generator, rows: int) -> np.ndarray:
        factors = random.normal(size=(rows, size, size))
        return (factors @ factors.transpose(0, 2, 1) / size + np.eye(size)).astype(np.float32)

    return make
