"""`decode`: the bytes of PNG files to images of one size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from onnxyard.errors import UserCodeError
from onnxyard.processing.flow import Flow
from onnxyard.processing.images import LETTERBOX, Resizing
from onnxyard.processing.step import Fitting, Flag, Size, Transform

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = 24
"""Bytes up to the end of width and height (big-endian at 16 and 20), which every PNG file begins with."""
LARGEST = 1 << 24
"""Pixels of an image; a file of a few bytes may claim any number."""
_INT64 = 7


class Decode(Transform):
    """PNG files, UINT8 [rows, bytes], zeros behind the shorter ones, to RGB images FLOAT [rows, *size, 3] in 0..255.

    The images of one call may differ in size, so each is resized at once, as `resize` does. Grey and palette images
    become RGB, transparency is dropped. Anything else than a PNG file of at most `LARGEST` pixels fails the call.

    JPEG is left out on purpose. onnxruntime-extensions 0.15.2 decodes it with libjpeg's default error handler: bytes
    that are no JPEG end the process, a file that is cut short hangs it, and a served model must survive both. A
    project with JPEG files decodes them in `preprocess` of its own.

    Attributes:
        size: Height and width.
        fit: As for `resize`.
        antialias: As for `resize`.
    """

    step: Literal["decode"]
    size: Size
    fit: Fitting = "stretch"
    antialias: Flag = False

    @property
    def packages(self) -> tuple[str, ...]:
        return ("onnxruntime-extensions",)

    def build(self, chain: Chain) -> None:
        flow = chain.take(self.input, keep=self.keep)
        if flow.dtype != "UINT8" or len(flow.shape) != 2:
            raise UserCodeError(f"{self.input!r} is {flow.dtype} {list(flow.shape)}, not files UINT8 [rows, bytes].")
        first, one = chain.ints([0]), chain.ints(0)

        def decoded(file: str) -> list[Flow]:
            blue_first = chain.op("DecodeImage", _checked(chain, file), domain="com.microsoft.extensions")
            image = chain.op("Gather", blue_first, chain.ints([2, 1, 0]), axis=2)
            resizing = Resizing(self.size, self.fit, self.antialias)
            images, letterbox = resizing.build(chain, chain.op("Unsqueeze", image, first))
            only = chain.op("Gather", images, one, axis=0)
            return [Flow(only, "FLOAT", (*self.size, 3)), Flow(letterbox, "FLOAT", (6,))]

        images, letterbox = chain.each_row(flow.value, decoded)
        rows = flow.shape[0]
        chain.give(self.gives, Flow(images, "FLOAT", (rows, *self.size, 3)))
        chain.carry(LETTERBOX.format(self.gives), Flow(letterbox, "FLOAT", (rows, 6)))


def _checked(chain: Chain, file: str) -> str:
    """The same bytes; running fails where they do not begin as a PNG file of a size we decode.

    The decoder tells JPEG from PNG by the bytes, so whatever is no PNG must not reach it.
    """

    def part(start: int, stop: int) -> str:
        ends = (chain.ints([at]) for at in (start, stop))
        return chain.op("Cast", chain.op("Slice", file, *ends), to=_INT64)

    def total(values: str) -> str:
        return chain.op("ReduceSum", values, chain.ints([0]), keepdims=0)

    signature = chain.op("Equal", part(0, 8), chain.ints(list(_SIGNATURE)))
    same = chain.op("Equal", total(chain.op("Cast", signature, to=_INT64)), chain.ints(8))
    places = chain.ints([1 << 24, 1 << 16, 1 << 8, 1])
    width, height = (total(chain.op("Mul", part(at, at + 4), places)) for at in (_HEADER - 8, _HEADER - 4))
    small = chain.op("LessOrEqual", chain.op("Mul", width, height), chain.ints(LARGEST))
    # Of one candidate, the one asked for is number 0; number 1 is out of bounds, which is how a graph refuses.
    number = chain.op("Where", chain.op("And", same, small), chain.ints(0), chain.ints(1))
    return chain.op("Gather", chain.op("Unsqueeze", file, chain.ints([0])), number, axis=0)
