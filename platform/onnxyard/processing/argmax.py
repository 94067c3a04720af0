"""`argmax`: scores to the index of the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from onnxyard.processing.flow import Flow
from onnxyard.processing.scores import check_scores
from onnxyard.processing.step import Transform

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain


class Argmax(Transform):
    """Scores [rows, ..., classes] to the index of the largest, INT64 [rows, ...]; the first of equal ones."""

    step: Literal["argmax"]

    def build(self, chain: Chain) -> None:
        flow = chain.take(self.input, keep=self.keep)
        check_scores(chain, self.input, flow)
        best = chain.op("ArgMax", flow.value, axis=-1, keepdims=0)
        chain.give(self.gives, Flow(best, "INT64", flow.shape[:-1]))
