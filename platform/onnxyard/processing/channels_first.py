"""`channels-first`: the layout that convolutions want."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from onnxyard.processing.flow import Flow
from onnxyard.processing.images import check_images
from onnxyard.processing.step import Transform

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain


class ChannelsFirst(Transform):
    """Images [rows, height, width, channels] to [rows, channels, height, width]."""

    step: Literal["channels-first"]

    def build(self, chain: Chain) -> None:
        flow = chain.take(self.input, keep=self.keep)
        check_images(chain, self.input, flow)
        rows, height, width, channels = flow.shape
        value = chain.op("Transpose", flow.value, perm=[0, 3, 1, 2])
        chain.give(self.gives, Flow(value, flow.dtype, (rows, channels, height, width)))
