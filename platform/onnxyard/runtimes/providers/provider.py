"""What an execution provider of ONNX Runtime is to its adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from types import MappingProxyType
from typing import Any

import onnxruntime as ort

from onnxyard.runtimes.providers.lack import Lack

FALLBACK: Mapping[str, tuple[str, ...]] = MappingProxyType({"fallback": ("refused", "allowed")})
"""Whether nodes that the provider has no kernel for may run on the CPU. It changes answers: they are computed there."""


@dataclass(frozen=True, slots=True)
class Provider:
    """An execution provider.

    Attributes:
        name: As ONNX Runtime has it.
        options: What can be tuned: by option, the values it takes, the default first.
        numeric: The options that change answers.
        lack: Why it cannot run here; None where it can.
        attach: Gives a session to it: session options, settled options and threads in; the `providers` argument of
            `InferenceSession` out, empty where the session options hold it.
        package: The distribution that brings it beside ONNX Runtime; empty where ONNX Runtime itself does.
        devices: The devices it finds here, in words.
        fixed_shapes: Whether it compiles for fixed shapes only: each set of lengths then has a session of its own.
        prints: Whether its library prints to stdout when it compiles.
        emulated: Whether it imitates another machine's arithmetic.
        toolchain: The toolchain it lives in; None for this environment.
    """

    name: str
    options: Mapping[str, tuple[str, ...]]
    numeric: frozenset[str]
    lack: Callable[[], Lack | None]
    attach: Callable[[ort.SessionOptions, Mapping[str, str], int], list[Any]]
    package: str = ""
    devices: Callable[[], tuple[str, ...]] = tuple
    fixed_shapes: bool = False
    prints: bool = False
    emulated: bool = False
    toolchain: str | None = None

    @property
    def runtime(self) -> str:
        """What runs a model with it, as `onnxruntime 1.32.0`; a plug-in's own version stands behind that."""
        plug_in = f", {self.package} {metadata.version(self.package)}" if self.package else ""
        return f"onnxruntime {ort.__version__}{plug_in}"
