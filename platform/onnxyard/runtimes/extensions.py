"""Operators of onnxruntime-extensions (tokenizers, image decoding): registered only for a graph that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from onnxyard.errors import MissingExtraError
from onnxyard.processing.flow import DOMAINS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def open_session(model: Path | bytes, options: ort.SessionOptions, providers: Sequence[Any]) -> ort.InferenceSession:
    """As `ort.InferenceSession`, with the extensions' operators where the graph uses them.

    Whether it does shows in ONNX Runtime's refusal, so that no other model pays for the question.

    Args:
        model: The ONNX file, or its bytes.
        options: The session's; changed where the operators are registered.
        providers: Execution providers; none where `options` hold them.

    Raises:
        MissingExtraError: it uses them, and onnxruntime-extensions is not installed.
        Whatever `ort.InferenceSession` raises.
    """
    # Without `enable_fallback=0` ONNX Runtime prints about a provider that fails, and tries the CPU in its place.
    given = {"sess_options": options, "providers": list(providers) or None, "enable_fallback": 0}
    try:
        return ort.InferenceSession(model, **given)
    except (ort_errors.Fail, ort_errors.InvalidGraph, ort_errors.NotImplemented) as error:
        if not any(domain in str(error) for domain in DOMAINS):
            raise
        try:
            from onnxruntime_extensions import get_library_path  # noqa: PLC0415 - the `processing` extra
        except ModuleNotFoundError:
            raise MissingExtraError(
                "The graph has operators of onnxruntime-extensions, which is not installed.",
                remedy="Install it with: pip install 'onnxyard[processing]'",
                extra="processing",
            ) from error
        options.register_custom_ops_library(get_library_path())
        return ort.InferenceSession(model, **given)
