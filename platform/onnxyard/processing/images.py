"""Images on their way: sizes, letterboxes, interpolation. Layout is [rows, height, width, channels]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from onnxyard.errors import UserCodeError

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain
    from onnxyard.processing.flow import Flow

Fit: TypeAlias = Literal["stretch", "letterbox"]
FILL = 114.0
"""The grey around a letterboxed image: YOLO's."""
LETTERBOX = "{}.letterbox"
"""The name of an image's letterbox: FLOAT [rows, 6] of (scale_y, scale_x, top, left, height, width): how the original
of that height and width was scaled, and where it lies in the new image."""


def check_images(chain: Chain, name: str, flow: Flow) -> None:
    """Raise UserCodeError for anything but [rows, height, width, channels]."""
    if len(flow.shape) != 4 or flow.dtype == "STRING":
        raise UserCodeError(
            f"{name!r} is {flow.dtype} {list(flow.shape)}, not images [rows, height, width, channels].",
            where=chain.where,
        )


@dataclass(frozen=True, slots=True)
class Resizing:
    """Bilinear interpolation to a fixed size, pixel centres at half (`half_pixel`), edges repeated.

    Attributes:
        size: Height and width.
        fit: `stretch` ignores the ratio of the sides; `letterbox` keeps it, centres the image and fills the rest.
        antialias: Whether a smaller image weighs all the pixels it covers (triangle filter, as Pillow's BILINEAR and
            torch's antialias=True), instead of the nearest two per axis.
    """

    size: tuple[int, int]
    fit: Fit
    antialias: bool

    def build(self, chain: Chain, images: str) -> tuple[str, str]:
        """Add the nodes for images [rows, height, width, channels] of any number type.

        Returns:
            The new images, FLOAT [rows, *size, channels], and the letterbox, FLOAT [6].
        """
        pixels = chain.op("Cast", images, to=_FLOAT)
        old = chain.op("Slice", chain.op("Shape", images), chain.ints([1]), chain.ints([3]))
        sides = chain.op("Cast", old, to=_FLOAT)
        whole = chain.ints(self.size)
        inner = whole
        if self.fit == "letterbox":
            ratios = chain.op("Div", chain.floats(self.size), sides)
            ratio = chain.op("Min", *(self._side(chain, ratios, axis) for axis in (0, 1)))
            rounded = chain.op("Floor", chain.op("Add", chain.op("Mul", sides, ratio), chain.floats(0.5)))
            least = chain.op("Max", rounded, chain.floats(1.0))  # a very long image keeps one row of pixels
            inner = chain.op("Cast", least, to=_INT64)
        if self.antialias:
            resized = self._filtered(chain, pixels, sides, inner)
        else:
            resized = self._interpolated(chain, pixels, inner)
        scale = chain.op("Div", chain.op("Cast", inner, to=_FLOAT), sides)
        margin = chain.op("Div", chain.op("Sub", whole, inner), chain.ints([2]))
        if self.fit == "letterbox":
            after = chain.op("Sub", chain.op("Sub", whole, inner), margin)
            zero = chain.ints([0])
            pads = chain.op("Concat", zero, margin, zero, zero, after, zero, axis=0)
            resized = chain.op("Pad", resized, pads, chain.floats(FILL))
        letterbox = chain.op("Concat", scale, chain.op("Cast", margin, to=_FLOAT), sides, axis=0)
        return resized, letterbox

    @staticmethod
    def _interpolated(chain: Chain, pixels: str, inner: str) -> str:
        """By Resize, on [rows, channels, height, width], which is the layout its kernels are made for."""
        first = chain.op("Transpose", pixels, perm=[0, 3, 1, 2])
        outer = chain.op("Slice", chain.op("Shape", first), chain.ints([0]), chain.ints([2]))
        sizes = chain.op("Concat", outer, inner, axis=0)
        resized = chain.op("Resize", first, "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")
        return chain.op("Transpose", resized, perm=[0, 2, 3, 1])

    def _filtered(self, chain: Chain, pixels: str, sides: str, inner: str) -> str:
        """By a matrix per axis: ONNX Runtime's own antialias option is off by some grey levels from Pillow's result."""
        first = chain.op("Transpose", pixels, perm=[0, 3, 1, 2])
        rows, columns = (
            _triangles(chain, self._side(chain, sides, axis), self._side(chain, inner, axis)) for axis in (0, 1)
        )
        across = chain.op("MatMul", first, chain.op("Transpose", columns, perm=[1, 0]))
        down = chain.op("MatMul", rows, across)
        return chain.op("Transpose", down, perm=[0, 2, 3, 1])

    @staticmethod
    def _side(chain: Chain, pair: str, axis: int) -> str:
        return chain.op("Gather", pair, chain.ints(axis), axis=0)


def _triangles(chain: Chain, old: str, new: str) -> str:
    """The weights of a triangle filter, FLOAT [new, old]; each row sums to one.

    Pixel i of the new side covers the old side around its centre c = (i + 0.5) * old / new; an old pixel j weighs
    max(0, 1 - |j + 0.5 - c| / s) with s = max(1, old / new). See Pillow's Resample.c.
    """
    wanted = chain.op("Cast", new, to=_FLOAT)
    ratio = chain.op("Div", old, wanted)
    support = chain.op("Max", ratio, chain.floats(1.0))
    half = chain.floats(0.5)

    def centres(length: str) -> str:
        return chain.op("Add", chain.op("Range", chain.floats(0.0), length, chain.floats(1.0)), half)

    targets = chain.op("Unsqueeze", chain.op("Mul", centres(wanted), ratio), chain.ints([1]))
    distance = chain.op("Abs", chain.op("Sub", centres(old), targets))
    weights = chain.op("Relu", chain.op("Sub", chain.floats(1.0), chain.op("Div", distance, support)))
    return chain.op("Div", weights, chain.op("ReduceSum", weights, chain.ints([1]), keepdims=1))


_FLOAT, _INT64 = 1, 7
"""TensorProto's numbers, for Cast."""
