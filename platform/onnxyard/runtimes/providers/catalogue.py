"""Execution providers by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.providers.cpu import CPU
from onnxyard.runtimes.providers.openvino import OPENVINO
from onnxyard.runtimes.providers.qnn import QNN

if TYPE_CHECKING:
    from onnxyard.runtimes.providers.provider import Provider

VERIFIED: dict[str, Provider] = {each.name: each for each in (CPU, OPENVINO, QNN)}
"""Providers whose answers our tests compare with the source framework's. A new one is added together with its tests."""


def provider_named(name: str) -> Provider:
    """The provider of this name. Raises UnsupportedModelError naming those there are."""
    try:
        return VERIFIED[name]
    except KeyError:
        raise UnsupportedModelError(
            f"The execution provider {name!r} is not verified for ONNX Runtime.",
            remedy=f"Verified: {', '.join(VERIFIED)}.",
        ) from None
