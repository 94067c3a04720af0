"""Orders, running reductions and statistics."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.export.case import case, integers, normal


@case("statistics/cumprod", x=(6, 4), outputs=("y", "whole"))
class CumProd(nn.Module):
    def forward(self, x):
        return x.cumprod(dim=1), (x * 3).int().cumprod(dim=2)


@case("statistics/cumsum", x=(6, 4))
class CumSum(nn.Module):
    def forward(self, x):
        return x.cumsum(dim=1).flip(1).cumsum(dim=-1)


@case("statistics/cummax", x=(6, 4), outputs=("largest", "at", "smallest"))
class CumMax(nn.Module):
    def forward(self, x):
        largest, at = x.round().cummax(dim=1)
        return largest, at, x.cummin(dim=2).values


@case("statistics/logcumsumexp-wide-range", x=normal(6, scale=100.0))
class LogCumSumExp(nn.Module):
    def forward(self, x):
        return x.sort(dim=1).values.logcumsumexp(dim=1)


@case("statistics/kthvalue", x=(7, 3), outputs=("value", "at"))
class Kth(nn.Module):
    def forward(self, x):
        return x.kthvalue(3, dim=1)


@case("statistics/median", x=(6, 3), outputs=("value", "at"))
class Median(nn.Module):
    def forward(self, x):
        return x.median(dim=1)


@case("statistics/mode", x=integers(9, high=4))
class Mode(nn.Module):
    def forward(self, x):
        return x.mode(dim=1).values


@case("statistics/quantile", x=(9,))
class Quantile(nn.Module):
    def forward(self, x):
        return torch.quantile(x, 0.3, dim=1)


@case("statistics/top-k-and-stable-sort", x=(9,), outputs=("top", "at", "order"))
class Top(nn.Module):
    def forward(self, x):
        top, at = x.topk(3, dim=1)
        return top, at, x.round().sort(dim=1, stable=True).indices


@case("statistics/variances", x=(9, 4), outputs=("sample", "population", "norm"))
class Variances(nn.Module):
    def forward(self, x):
        return x.std(dim=1), x.var(dim=1, unbiased=False), torch.linalg.vector_norm(x, 3, dim=1)


@case("statistics/distances", x=(6, 3), y=(4, 3), outputs=("euclidean", "city"))
class Distances(nn.Module):
    def forward(self, x, y):
        return torch.cdist(x, y), torch.cdist(x, y, p=1.0)


@case("statistics/special-functions", x=(8,), outputs=("erfinv", "lgamma", "digamma", "hypot"))
class Special(nn.Module):
    def forward(self, x):
        return torch.erfinv(x.tanh()), torch.lgamma(x.abs() + 0.1), torch.digamma(x.exp()), torch.hypot(x, x.flip(1))


@case("statistics/histogram-per-row", x=(50,))
class Histogram(nn.Module):
    def forward(self, x):
        bins = ((x.clamp(-2, 1.999) + 2) * 2).long()
        return torch.zeros(x.shape[0], 8).scatter_add(1, bins, torch.ones_like(x))


@case("statistics/nan-aware", x=(9,), outputs=("filled", "total"))
class NanAware(nn.Module):
    def forward(self, x):
        holes = torch.where(x > 1, torch.nan, x)
        return holes.nan_to_num(nan=-1.0), holes.nansum(dim=1)


@case("statistics/nearest-code", x=(3,), outputs=("apart", "nearest"))
class NearestCode(nn.Module):
    def __init__(self):
        super().__init__()
        self.codes = nn.Parameter(torch.randn(7, 3))

    def forward(self, x):
        apart = torch.cdist(x[:, None], self.codes.expand(len(x), -1, -1))[:, 0]
        return apart, apart.argmin(-1)
