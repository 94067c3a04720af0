"""`unletterbox`: boxes in a letterboxed image to boxes in the original."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from onnxyard.errors import UserCodeError
from onnxyard.processing.flow import Flow
from onnxyard.processing.images import LETTERBOX
from onnxyard.processing.step import Text, Transform

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain


class Unletterbox(Transform):
    """Boxes FLOAT [rows, n, 4] of corners (x1, y1, x2, y2) in a resized image, to boxes in the original.

    They are cut off at its edges; an empty box of zeros stays one.

    Attributes:
        image: What the `resize` or `decode` step calls the resized image.
    """

    step: Literal["unletterbox"]
    image: Text

    def build(self, chain: Chain) -> None:
        flow = chain.take(self.input, keep=self.keep)
        if flow.dtype != "FLOAT" or len(flow.shape) != 3:
            raise UserCodeError(f"{self.input!r} is {flow.dtype} {list(flow.shape)}, not boxes FLOAT [rows, n, 4].")
        name = LETTERBOX.format(self.image)
        if name not in chain.carried:
            raise UserCodeError(
                f"No image {self.image!r} was resized.", remedy="Name what a resize or decode step gives."
            )
        letterbox = chain.op("Unsqueeze", chain.carried[name].value, chain.ints([1]))

        def columns(*indexes: int) -> str:
            return chain.op("Gather", letterbox, chain.ints(list(indexes)), axis=2)

        moved = chain.op("Div", chain.op("Sub", flow.value, columns(3, 2, 3, 2)), columns(1, 0, 1, 0))
        inside = chain.op("Min", chain.op("Relu", moved), columns(5, 4, 5, 4))
        chain.give(self.gives, Flow(inside, "FLOAT", flow.shape))
