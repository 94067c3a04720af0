"""Control flow: what a graph can hold, and what it must not freeze."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.export.case import REFUSED, WARNED, case


@case("control/cond-with-arithmetic", x=(4,))
class Cond(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return torch.cond(x[:, 0].max() > 1, lambda rows: self.one(rows) * 2, lambda rows: self.other(rows) - 1, (x,))


@case("control/cond-on-data", x=(4,))
class CondOnData(nn.Module):
    """The whole batch decides."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return torch.cond(x.sum() > 0, self.one.forward, self.other.forward, (x,))


@case("control/where", x=(4,))
class Where(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return torch.where(x.sum(dim=1, keepdim=True) > 0, self.one(x), self.other(x))


@case("control/loop-of-fixed-length", x=(4,))
class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        for layer in self.layers:
            x = x + torch.tanh(layer(x))
        return x


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        if x.mean() > 0:  # refused
            return self.linear(x)
        return self.linear(-x)


@case("control/branch-on-data", x=(4,), outcome=REFUSED, path="inner", finding="data-dependent-branch")
class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Branching()

    def forward(self, x):
        return self.inner(x * 2)


@case("control/number-from-data", x=(4,), outcome=REFUSED, finding="data-dependent-branch")
class Number(nn.Module):
    def forward(self, x):
        scale = 2.0 if float(x.abs().max()) > 1 else 1.0  # refused
        return x * scale


@case("control/loop-on-data", x=(4,), outcome=REFUSED, finding="data-dependent-branch")
class LoopOnData(nn.Module):
    def forward(self, x):
        while x.abs().max() > 1:  # refused
            x = x / 2
        return x


@case("control/batch-in-the-code", x=(4,), outcome=REFUSED, finding="baked-axis")
class BatchInCode(nn.Module):
    def forward(self, x):
        return x.reshape(4, 2, 2) if x.shape[0] == 4 else x.reshape(-1, 4)[:, None]  # refused


@case("control/shape-arithmetic", x=(6, 4), axes={"x": ("batch", "length", 4)})
class ShapeArithmetic(nn.Module):
    def forward(self, x):
        batch, length, width = x.shape
        places = torch.arange(length, dtype=x.dtype) / length
        return (x.reshape(batch * length, width) * 2).reshape(batch, length, width) + places[None, :, None]


@case("control/batch-as-a-number", x=(4,), outcome=REFUSED, finding="baked-axis")
class BatchAsNumber(nn.Module):
    def forward(self, x):
        rows = int(x.shape[0])  # refused
        return x + torch.arange(rows)[:, None]


@case("control/table-of-one-batch", x=(4,), outcome=WARNED, finding="baked-axis")
class TableOfOneBatch(nn.Module):
    """The model itself takes four rows, or one, which broadcasts."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        return torch.relu(x) + self.table
