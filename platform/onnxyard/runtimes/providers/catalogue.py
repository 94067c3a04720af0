"""Execution providers by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.providers.built_in import BUILT_IN
from onnxyard.runtimes.providers.cpu import CPU
from onnxyard.runtimes.providers.nvidia import CUDA, TENSORRT
from onnxyard.runtimes.providers.openvino import OPENVINO
from onnxyard.runtimes.providers.qnn import QNN

if TYPE_CHECKING:
    from onnxyard.runtimes.providers.provider import Provider

KNOWN: dict[str, Provider] = {each.name: each for each in (CPU, CUDA, TENSORRT, OPENVINO, QNN, *BUILT_IN)}
"""Every provider that can be asked for. Where one is not here, `lack` says why."""


def provider_named(name: str) -> Provider:
    """The provider of this name. Raises UnsupportedModelError naming those there are."""
    try:
        return KNOWN[name]
    except KeyError:
        raise UnsupportedModelError(
            f"There is no execution provider {name!r} that is verified for ONNX Runtime.",
            remedy=f"There is {', '.join(KNOWN)}.",
        ) from None
