"""Writing an ONNX model to disk; large weights go into a file of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from pathlib import Path

EXTERNAL_FROM_BYTES = 1 << 30
"""Weights from this size on go into a file of their own: one protobuf message ends at 2 GiB."""


def save_model(model: onnx.ModelProto, model_file: Path, *, external_from: int = EXTERNAL_FROM_BYTES) -> None:
    """Write a model; weights of `external_from` bytes or more in all go to `model.onnx.data` beside it."""
    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) >= external_from
    draft = model_file.with_name(f".{model_file.name}.part")
    onnx.save_model(
        model,
        draft,
        save_as_external_data=large,
        location=f"{model_file.name}.data",
        size_threshold=min(1024, external_from),
    )
    draft.replace(model_file)
