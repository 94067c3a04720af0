"""Modules with one fault each, at a line that says `# here`, and their clean twins."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Nest(nn.Module):
    """Puts a part one level down, so that its path has to be told."""

    def __init__(self, part):
        super().__init__()
        self.inner = part

    def forward(self, x):
        return self.inner(x)


class Count(nn.Module):
    def forward(self, x):
        return x + torch.arange(len(x))[:, None]  # here: Count


class CountFreely(nn.Module):
    def forward(self, x):
        return x + torch.arange(x.shape[0])[:, None]


class Regroup(nn.Module):
    def forward(self, x):
        return x.reshape(x.shape[0], 2, 2)  # here: Regroup


class Positions(nn.Module):
    def forward(self, x):
        places = torch.tensor(np.linspace(0, 1, x.shape[1]), dtype=torch.float32)
        return x * places  # here: Positions


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:  # here: Branch
            return x * 2
        return x - 1


class Where(nn.Module):
    def forward(self, x):
        return torch.where(x.sum() > 0, x * 2, x - 1)


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x):
        state = x.new_zeros(x.shape[0], 4)
        for step in range(x.shape[1]):  # here: Loop
            state = self.cell(x[:, step], state)
        return state


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(3, 4, batch_first=True)

    def forward(self, x):
        return self.cell(x)[1][0]


class Long(nn.Module):
    def forward(self, x):
        if x.shape[1] > 4:  # here: Long
            return x.sum(dim=1)
        return x.mean(dim=1)


class Scale(nn.Module):
    def forward(self, x):
        return x / float(x.abs().max())  # here: Scale


class ScaleFreely(nn.Module):
    def forward(self, x):
        return x / x.abs().max()


class Double(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.linspace(0.1, 1, 4, dtype=torch.float64))

    def forward(self, x):
        return x * self.weight  # here: Double


class Integers(nn.Module):
    def forward(self, x):
        return x + 1  # here: Integers


class Sigmoid(nn.Module):
    def forward(self, x):
        return torch.sigmoid(x)  # here: Sigmoid


class Logarithm(nn.Module):
    def forward(self, x):
        return torch.log(x.abs())  # here: Logarithm


class Shrink(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, x):
        return functional.interpolate(x, **self.options)  # here: Shrink


class Sample(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, x, grid):
        return functional.grid_sample(x, grid, **self.options)  # here: Sample


class LiveDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.dropout = nn.Dropout(0.5)

    def train(self, mode=True):
        super().train(mode)
        self.dropout.training = True
        return self

    def forward(self, x):
        return self.dropout(self.linear(x))  # here: LiveDropout


class FunctionalDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return functional.dropout(self.linear(x), 0.5)  # here: FunctionalDropout


class RightDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return functional.dropout(self.linear(x), 0.5, training=self.training)


class LiveNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def train(self, mode=True):
        super().train(mode)
        self.norm.training = True
        return self

    def forward(self, x):
        return self.norm(x)  # here: LiveNorm


class BatchStatistics(nn.Module):
    def forward(self, x):
        return functional.batch_norm(x, None, None, training=True)  # here: BatchStatistics


class StillNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(x)


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)  # here: Noisy


class Noiseless(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x) if self.training else x + 0.5


class Pair(nn.Module):
    def forward(self, x):
        doubled = x * 2  # here: Pair
        return doubled, x + 3


class Twice(nn.Module):
    def forward(self, x):
        doubled = x * 2  # here: Twice
        return doubled, doubled


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.embedding(x))  # here: Tied


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Embedding(50, 16)
        self.two = nn.Embedding(50, 16)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.one(x) + self.two(x.flip(1))


class TwoBranches(nn.Module):
    def forward(self, x):
        if x.sum() > 0:  # here: first branch
            x = x * 2
        elif x.max() > 0.5:  # here: hidden branch
            x = x - 1
        if (x > 100).any():  # here: second branch
            x = x - 1
        return x


class TwoGaps(nn.Module):
    def forward(self, x):
        values = torch.linalg.eigvals(x @ x.mT).real  # here: first gap
        return values + torch.linalg.eigvals(x).real  # here: second gap


class Complex(nn.Module):
    def forward(self, x):
        return torch.fft.fft(x)  # here: Complex


class Sometimes(nn.Module):
    def forward(self, x):
        return x, None


class Spectrum(nn.Module):
    def forward(self, x):
        return torch.fft.fft(x).abs()


class AtOpset(nn.Module):
    def forward(self, x, grid):
        return functional.grid_sample(x, grid, align_corners=False)


class Frobnicate(nn.Module):
    def forward(self, x):
        return torch.ops.onnxyard_doctor.frobnicate(x)  # here: Frobnicate


class ByNumpy(nn.Module):
    def forward(self, x):
        return torch.from_numpy(np.sin(x.numpy()))


class Fixed(nn.Module):
    def forward(self, x):
        return x.reshape(6, 2, 2)  # here: Fixed


class FixedForOne(nn.Module):
    def forward(self, x):
        if x.shape[0] == 6:  # here: FixedForOne
            return x.reshape(6, 2, 2)
        return x[:, None].reshape(-1, 2, 2)


class Remembering(nn.Module):
    """The mean that is taken off moves with every call, in training or not."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        moved = torch.relu(x)
        self.mean.mul_(0.9).add_(0.1 * moved.mean(0))  # here: Remembering
        return moved - self.mean


class RememberingAnew(nn.Module):
    """The same, with a new tensor in the buffer's place."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        moved = torch.relu(x)
        self.mean = self.mean + moved.mean(0)  # here: RememberingAnew
        return moved - self.mean


class Drawing(nn.Module):
    def forward(self, x):
        return torch.relu(x) * np.random.default_rng().uniform(0.5, 1.5)  # here: Drawing


class CountingCalls(nn.Module):
    """What it remembers shows in no answer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        self.calls += 1
        return torch.relu(x)


class ForSix(nn.Module):
    """Six rows, or one, which broadcasts."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.ones(6, 4))

    def forward(self, x):
        return torch.relu(x) + self.table  # here: ForSix


class Rare(nn.Module):
    """Probabilities of some 1e-7, where ONNX Runtime's Sigmoid is far off and no one minds."""

    def forward(self, x):
        return torch.sigmoid(x.square().sum(1) - 16.5)


class BothWays(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.RNN(3, 4, batch_first=True, bidirectional=True)

    def forward(self, x):
        return self.cell(x)[0]  # here: BothWays
