"""Small torch modules, each with one thing that exports stumble over."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it
from torch import nn


class Plain(nn.Module):
    """Exports everywhere."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, features):
        return self.body(features)


class Encoder(nn.Module):
    """Two inputs with a sequence axis, one of them bool; the legacy exporter bakes the sequence's length in."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, tokens, visible):
        states = self.layer(self.words(tokens))
        states = states * visible[:, :, None]
        return {"pooled": states.sum(1), "states": states}


class Halves(nn.Module):
    """Takes sequences of even length only: a rule that torch can infer but not be told."""

    def forward(self, tokens):
        half = tokens.shape[1] // 2
        return tokens[:, :half] + tokens[:, half:]


class Antialiased(nn.Module):
    """Exports without a word, and the plain graph answers something else."""

    def forward(self, pixels):
        return F.interpolate(pixels, scale_factor=0.5, mode="bilinear", antialias=True)


class Upsampled(nn.Module):
    """The legacy exporter at opset 9 exports it without a word, and the graph answers something else."""

    def forward(self, pixels):
        return F.interpolate(pixels, scale_factor=2, mode="bilinear", align_corners=False)


class Folding(nn.Module):
    """An operator that the legacy exporter knows from opset 13 on, in a module of its own."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (2, 3)))

    def forward(self, features):
        return self.inner(features) + torch.special.airy_ai(features).sum()


class Branching(nn.Module):
    """Decides by a value: a trace would freeze it."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, features):
        if features.sum() > 0:
            return self.linear(features)
        return -self.linear(features)


class Normalizing(nn.Module):
    """A layer normalization: no opset below 17 has one, and torch's exporter at 27 calls Gelu wrongly."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU())

    def forward(self, features):
        return self.inner(features)


class Narrow(nn.Module):
    """Weights in bfloat16, for which ONNX Runtime has no CPU kernels."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.to(torch.bfloat16)

    def forward(self, features):
        return self.norm(self.linear(features.to(torch.bfloat16)))


@dataclass
class Found:
    scores: torch.Tensor
    boxes: torch.Tensor
    extra: torch.Tensor | None = None


class Structured(nn.Module):
    """A dataclass, its fields in another order than forward computes them."""

    def forward(self, features):
        return Found(boxes=features * 2, scores=features.sum(1))


class Mixed(nn.Module):
    """Integer, boolean and float inputs."""

    def forward(self, count, keep, features):
        return torch.where(keep[:, None], features * count[:, None], features)


class Table(nn.Module):
    """Nothing but weights."""

    def __init__(self, rows, columns):
        super().__init__()
        self.table = nn.utils.skip_init(nn.Embedding, rows, columns)
        with torch.no_grad():
            self.table.weight.copy_((torch.arange(columns) / columns).expand(rows, columns))
        self.head = nn.Linear(columns, 3)

    def forward(self, tokens):
        return self.head(self.table(tokens).mean(1))


class Counting(nn.Module):
    """`len` of a tensor, as in a class token for every row."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 4))

    def forward(self, features):
        return torch.cat([self.token.expand(len(features), -1), features], dim=1)


class Numbered(nn.Module):
    """The number of rows leaves the graph."""

    def forward(self, features):
        rows = int(features.shape[0])  # here
        return features + torch.arange(rows)[:, None]


class Holding(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, features):
        return self.part(features * 2)


class Packed(nn.Module):
    """A recurrent layer over rows of different lengths."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(4, 3, batch_first=True)

    def forward(self, steps, lengths):
        rows = nn.utils.rnn.pack_padded_sequence(steps, lengths, batch_first=True, enforce_sorted=False)
        return self.cell(rows)[1][0]


class Recurrent(nn.Module):
    """A recurrent layer that gives every step."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(4, 3, batch_first=True)

    def forward(self, steps):
        return self.cell(steps)[0]


class ByNumpy(nn.Module):
    def forward(self, features):
        return features - torch.from_numpy(features.numpy().mean(axis=0))


class InDouble(nn.Module):
    """ONNX Runtime has no Erf for doubles."""

    def forward(self, features):
        return torch.erf(features.double()).float()  # in double


class Keeping(nn.Module):
    """Keeps a mask of the first length it sees."""

    def __init__(self):
        super().__init__()
        self.mask = None

    def forward(self, steps):
        if self.mask is None:
            self.mask = torch.ones(steps.shape[1], steps.shape[1]).tril()
        return self.mask @ steps  # kept
