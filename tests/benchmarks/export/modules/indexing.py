"""Einsum, scatter and gather, advanced indexing."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from benchmarks.export.case import case, integers


@case("indexing/einsum-diagonal", x=(4, 4), outputs=("trace", "diagonal", "outer"))
class Einsum(nn.Module):
    def forward(self, x):
        outer = torch.einsum("bi,bj->bij", x[:, 0], x[:, 1])
        return torch.einsum("bii->b", x), torch.einsum("bii->bi", x), outer


@case("indexing/einsum-ellipsis", x=(2, 4, 3), other=(2, 3, 5))
class EinsumEllipsis(nn.Module):
    def forward(self, x, other):
        return torch.einsum("...ij,...jk->...ki", x, other)


@case("indexing/gather", x=(6, 4), places=integers(3, high=6))
class Gather(nn.Module):
    def forward(self, x, places):
        return x.gather(1, places[:, :, None].expand(-1, -1, 4))


@case("indexing/two-lists", x=(5, 6, 4), outputs=("beside", "apart"))
class TwoLists(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("rows", torch.tensor([0, 2, 4]))
        self.register_buffer("columns", torch.tensor([1, -1, 3]))

    def forward(self, x):
        return x[:, self.rows, self.columns], x[:, self.rows, :, self.columns].transpose(0, 1)


@case("indexing/per-row", x=(6, 4), places=integers(high=6))
class PerRow(nn.Module):
    def forward(self, x, places):
        return x[torch.arange(x.shape[0]), places]


@case("indexing/scatter", x=(5,))
class Scatter(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x).scatter(1, x.argsort(1), x.flip(1))


@case("indexing/scatter-add", x=(7,), places=integers(7, high=3))
class ScatterAdd(nn.Module):
    def forward(self, x, places):
        return torch.zeros(x.shape[0], 3).scatter_add(1, places, x)


@case("indexing/scatter-mean", x=(7,), places=integers(7, high=3))
class ScatterMean(nn.Module):
    def forward(self, x, places):
        return torch.zeros(x.shape[0], 3).scatter_reduce(1, places, x, "mean", include_self=False)


@case("indexing/scatter-max", x=(7,), places=integers(7, high=3))
class ScatterMax(nn.Module):
    def forward(self, x, places):
        return torch.zeros(x.shape[0], 3).scatter_reduce(1, places, x, "amax")


@case("indexing/index-reduce", x=(5, 3))
class IndexReduce(nn.Module):
    def forward(self, x):
        return x.index_reduce(1, torch.tensor([0, 0, 2]), x[:, 2:] * 2, "amax")


@case("indexing/index-add", x=(5, 3))
class IndexAdd(nn.Module):
    def forward(self, x):
        return x.index_add(1, torch.tensor([0, 0, 2]), x[:, 2:], alpha=0.5)


@case("indexing/slices-assigned", x=(6, 4))
class Assigned(nn.Module):
    def forward(self, x):
        y = x.clone()
        y[:, 1:4:2] = x[:, :2] * 2
        y[:, -1, ::2] += 1
        y[y > 1] = 0
        return y


@case("indexing/masked-fill", x=(6, 4))
class Masked(nn.Module):
    def forward(self, x):
        return x.masked_fill(x.tril() > 0.5, -3.0).softmax(-1)


@case("indexing/searchsorted", x=(6,), outputs=("left", "right"))
class SearchSorted(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("edges", torch.linspace(-1, 1, 9))

    def forward(self, x):
        return torch.searchsorted(self.edges, x), torch.searchsorted(x.sort(1).values, x.round(), right=True)


@case("indexing/bucketize", x=(6,))
class Bucketize(nn.Module):
    def forward(self, x):
        return torch.bucketize(x, torch.tensor([-1.0, 0.0, 0.5]), right=True)


@case("indexing/isin", x=integers(6))
class IsIn(nn.Module):
    def forward(self, x):
        return torch.isin(x, torch.tensor([1, 3, 7]))


@case("indexing/one-hot-and-embedding", x=integers(6), outputs=("hot", "embedded"))
class Embedded(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4, padding_idx=0)

    def forward(self, x):
        return functional.one_hot(x, 10), self.embedding(x)


@case("indexing/embedding-bag", x=integers(6))
class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(10, 4, mode="mean")

    def forward(self, x):
        return self.bag(x)


@case("indexing/rolled-and-repeated", x=(4, 5))
class Rolled(nn.Module):
    def forward(self, x):
        return x.roll((1, -2), (1, 2)).repeat_interleave(torch.tensor([1, 2, 0, 1]), dim=1)
