"""Grid sampling, patches and pooling."""

from __future__ import annotations

from functools import partial
from itertools import product

import torch
from torch import nn
from torch.nn import functional

from benchmarks.export.case import case


class Sample(nn.Module):
    """An image sampled beyond its edges."""

    def __init__(self, mode, padding, align_corners):
        super().__init__()
        self.mode, self.padding, self.align_corners = mode, padding, align_corners

    def forward(self, image, grid):
        return functional.grid_sample(
            image, grid * 1.3, mode=self.mode, padding_mode=self.padding, align_corners=self.align_corners
        )


MODES, PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")

for mode, padding, align in product(MODES, PADDINGS, (False, True)):
    if (padding == "zeros") or align != (mode == "bilinear"):
        name = f"sampling/grid-{mode}-{padding}{'-aligned' * align}"
        case(name, image=(3, 5, 7), grid=(4, 6, 2))(partial(Sample, mode, padding, align))

case("sampling/grid-volume", image=(2, 4, 5, 6), grid=(3, 4, 5, 3))(partial(Sample, "bilinear", "border", False))


@case("sampling/affine-grid", x=(3, 6, 6), theta=(2, 3))
class Affine(nn.Module):
    def forward(self, x, theta):
        grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, align_corners=False)


@case("sampling/unfold-fold", x=(3, 8, 9))
class Patches(nn.Module):
    def forward(self, x):
        patches = functional.unfold(x, (2, 3), stride=(2, 3))
        return functional.fold(patches * 2, (8, 9), (2, 3), stride=(2, 3))


@case("sampling/pixel-shuffle", x=(8, 3, 5))
class Shuffle(nn.Module):
    def forward(self, x):
        return functional.pixel_unshuffle(functional.pixel_shuffle(x, 2), 2).flip(1) + x


@case("sampling/adaptive-max-pool-uneven", x=(3, 7, 9))
class AdaptiveMax(nn.Module):
    def forward(self, x):
        return functional.adaptive_max_pool2d(x, (3, 4))


@case("sampling/adaptive-average-pool-uneven", x=(3, 7, 9))
class AdaptiveAverage(nn.Module):
    def forward(self, x):
        return functional.adaptive_avg_pool2d(x, (3, 4))


@case("sampling/average-pool-ceil", x=(3, 8, 9))
class CeilPool(nn.Module):
    def forward(self, x):
        return functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False)


@case("sampling/max-unpool", x=(3, 8, 8))
class Unpool(nn.Module):
    def forward(self, x):
        return functional.max_unpool2d(*functional.max_pool2d(x, 2, return_indices=True), 2)


@case("sampling/circular-padding", x=(3, 5, 6))
class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")

    def forward(self, x):
        return torch.cat([self.conv(x), functional.pad(x, (1, -1, -1, 1), mode="constant")], dim=1)
