"""What steps that read scores expect of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import UserCodeError

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain
    from onnxyard.processing.flow import Flow


def check_scores(chain: Chain, name: str, flow: Flow) -> None:
    """Raise UserCodeError for anything but floats with the classes on the last of two or more axes."""
    if flow.dtype not in {"FLOAT", "FLOAT16", "DOUBLE"} or len(flow.shape) < 2:
        raise UserCodeError(
            f"{name!r} is {flow.dtype} {list(flow.shape)}, not scores [rows, ..., classes].", where=chain.where
        )
