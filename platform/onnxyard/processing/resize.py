"""`resize`: images to one size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from onnxyard.processing.flow import Flow
from onnxyard.processing.images import LETTERBOX, Resizing, check_images
from onnxyard.processing.step import Fitting, Flag, Size, Transform

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain


class Resize(Transform):
    """Images [rows, height, width, channels] of any numbers to FLOAT [rows, *size, channels], values in their range.

    All rows of one call have one size; another call may bring another (name the axes in [project.axes]).

    Attributes:
        size: Height and width.
        fit: `stretch` ignores the ratio of the sides; `letterbox` keeps it, centres the image and fills the rest.
            `unletterbox` undoes either for boxes.
        antialias: As Pillow's BILINEAR. It costs two matrix products per image.
    """

    step: Literal["resize"]
    size: Size
    fit: Fitting = "stretch"
    antialias: Flag = False

    def build(self, chain: Chain) -> None:
        flow = chain.take(self.input, keep=self.keep)
        check_images(chain, self.input, flow)
        images, letterbox = Resizing(self.size, self.fit, self.antialias).build(chain, flow.value)
        chain.give(self.gives, Flow(images, "FLOAT", (flow.shape[0], *self.size, flow.shape[3])))
        rows = chain.op("Gather", chain.op("Shape", flow.value), chain.ints([0]))
        each = chain.op("Expand", letterbox, chain.op("Concat", rows, chain.ints([6]), axis=0))
        chain.carry(LETTERBOX.format(self.gives), Flow(each, "FLOAT", (flow.shape[0], 6)))
