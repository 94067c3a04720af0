"""`softmax`: logits to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from onnxyard.processing.flow import Flow
from onnxyard.processing.scores import check_scores
from onnxyard.processing.step import Transform

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain


class Softmax(Transform):
    """Logits FLOAT [rows, ..., classes] to probabilities over the last axis."""

    step: Literal["softmax"]

    def build(self, chain: Chain) -> None:
        flow = chain.take(self.input, keep=self.keep)
        check_scores(chain, self.input, flow)
        chain.give(self.gives, Flow(chain.op("Softmax", flow.value, axis=-1), flow.dtype, flow.shape))
