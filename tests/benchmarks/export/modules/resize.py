"""Every mode of interpolation, odd and even sizes, down and up."""

from __future__ import annotations

from functools import partial
from itertools import product

from torch import nn
from torch.nn import functional

from benchmarks.export.case import case

SHAPES = {
    "odd": {1: (3, 13), 2: (3, 9, 13), 3: (2, 5, 7, 9)},
    "even": {1: (3, 12), 2: (3, 8, 12), 3: (2, 4, 6, 8)},
}
SCALES = {"odd": (0.6, 1.7), "even": (0.5, 2.0)}
DIMENSIONS = {"linear": 1, "trilinear": 3}


class Resize(nn.Module):
    """Smaller and larger."""

    def __init__(self, mode, align_corners, antialias, scales):
        super().__init__()
        self.mode, self.align_corners, self.antialias, self.scales = mode, align_corners, antialias, scales

    def forward(self, x):
        return tuple(
            functional.interpolate(
                x, scale_factor=scale, mode=self.mode, align_corners=self.align_corners, antialias=self.antialias
            )
            for scale in self.scales
        )


class ResizeTo(nn.Module):
    """To a size that is no multiple."""

    def __init__(self, mode, antialias):
        super().__init__()
        self.mode, self.antialias = mode, antialias

    def forward(self, x):
        return functional.interpolate(x, size=(5, 20), mode=self.mode, antialias=self.antialias)


VARIANTS = [
    *product(("nearest", "nearest-exact", "area"), (None,), (False,)),
    *product(("linear", "trilinear"), (False, True), (False,)),
    *product(("bilinear", "bicubic"), (False, True), (False, True)),
]

for (mode, align, antialias), parity in product(VARIANTS, SHAPES):
    words = [mode, *["aligned"][: bool(align)], *["antialias"][:antialias], parity]
    make = partial(Resize, mode, align, antialias, SCALES[parity])
    case(f"resize/{'-'.join(words)}", x=SHAPES[parity][DIMENSIONS.get(mode, 2)], outputs=("smaller", "larger"))(make)

for mode, antialias in product(("bilinear", "bicubic"), (False, True)):
    case(f"resize/{mode}{'-antialias' * antialias}-to-size", x=(3, 9, 13))(partial(ResizeTo, mode, antialias))
