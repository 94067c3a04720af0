"""Training mode, randomness, types and shared weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.export.case import WARNED, case, integers, normal


@case("state/dropout-in-training", x=(8,), outcome=WARNED, finding="training-mode")
class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        return functional.dropout(self.linear(x), 0.5)


@case("state/dropout-at-rest", x=(8,))
class NotDropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.AlphaDropout(0.2), nn.RReLU())

    def forward(self, x):
        return self.body(x)


@case("state/batch-norm-in-training", x=(3, 4, 4), outcome=WARNED, finding="training-mode")
class BatchStatistics(nn.Module):
    def forward(self, x):
        return functional.batch_norm(x, None, None, training=True)


@case("state/batch-norm-at-rest", x=(3, 4, 4))
class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        nn.init.uniform_(self.norm.running_mean)
        nn.init.uniform_(self.norm.running_var, 0.5, 2.0)

    def forward(self, x):
        return self.norm(x)


@case("state/random-noise", x=(8,), outcome=WARNED, finding="unseeded-randomness")
class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


@case("state/bernoulli-gate", x=(8,), outcome=WARNED, finding="unseeded-randomness")
class Gated(nn.Module):
    def forward(self, x):
        return x * torch.bernoulli(torch.full_like(x, 0.5))


@case("state/tied-weights", x=integers(6), outputs=("scores",))
class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(torch.tanh(self.embedding(x)))


@case("state/double-precision", x=(8,))
class Double(nn.Module):
    def forward(self, x):
        return (x.double().exp().cumsum(1) * 1e-9 + 1.0).log1p()


@case("state/half-precision-inside", x=(8,))
class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 4).half()

    def forward(self, x):
        return self.linear(x.half()).float()


@case("state/bfloat16-weights", x=(8,))
class BFloat16(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 4).bfloat16()

    def forward(self, x):
        return functional.linear(x, self.linear.weight.float(), self.linear.bias.float())


@case("state/integer-division", x=integers(6, low=-20, high=20), outputs=("floor", "trunc", "rest", "fmod"))
class Division(nn.Module):
    def forward(self, x):
        return x // 3, torch.div(x, 3, rounding_mode="trunc"), x % 3, torch.fmod(x, 3)


@case("state/integer-wrap", x=integers(6, low=-200, high=200), outputs=("narrow", "shifted"))
class Wrap(nn.Module):
    def forward(self, x):
        return (x.to(torch.int32) * 20_000_000).to(torch.int64), (x.abs() << 3) >> 1


@case("state/large-integers", x=integers(6, low=2**31, high=2**40))
class Large(nn.Module):
    def forward(self, x):
        return x + 1


@case("state/rounding", x=normal(9, scale=4.0), outputs=("halves", "digits", "bytes"))
class Rounding(nn.Module):
    def forward(self, x):
        return (x * 2).round() / 2, x.round(decimals=1), (x.abs() * 10).clamp(0, 255).to(torch.uint8)


@case("state/counter-in-a-buffer", x=(4,))
class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([1.0, 2.0, 3.0, 4.0]))

    def forward(self, x):
        return x - self.mean


@case("state/running-mean", x=(4,), outcome=WARNED, finding="unsteady-model")
class RunningMean(nn.Module):
    """Moves with every call, at inference too."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        self.mean.mul_(0.9).add_(0.1 * x.mean(0))
        return x - self.mean


@case("state/noise-of-numpy", x=(8,), outcome=WARNED, finding="unsteady-model")
class NumpyNoise(nn.Module):
    def forward(self, x):
        return x * np.random.default_rng().uniform(0.5, 1.5)


@case("state/calls-counted", x=(4,))
class Counted(nn.Module):
    """What it remembers shows in no answer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        self.calls += 1
        return torch.relu(x)
