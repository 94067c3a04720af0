"""Models without a fault are not accused, however they round: deep, random, large, decided at a tie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from tracing import HERE, findings, grave

from onnxyard.diagnosis.doctor import Subject, examine

RANDOM = np.random.default_rng(8)


def floats(*shape, scale=1.0):
    return (RANDOM.normal(size=shape) * scale).astype(np.float32)


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3),
            nn.BatchNorm2d(16),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(16, 5),
        )

    def forward(self, x):
        return self.body(x)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.embedding = nn.Embedding(50, 16)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, ids):
        return self.head(self.layers(self.embedding(ids)).mean(dim=1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.cell(x)[0].mean(dim=1))


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.down = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.last = nn.Conv2d(12, 1, 3, padding=1)

    def forward(self, x):
        near = functional.relu(self.first(x))
        far = functional.relu(self.down(near))
        far = functional.interpolate(far, size=near.shape[2:], mode="bilinear", align_corners=False)
        return self.last(torch.cat([near, far], dim=1))


class Deep(nn.Module):
    """Thirty layers of weights that are far too large: rounding grows by a factor of about a hundred."""

    def __init__(self, activation):
        super().__init__()
        self.activation = activation
        self.layers = nn.ModuleList([nn.Linear(32, 32) for _ in range(30)])
        for weight in self.parameters():
            weight.data *= 2.5

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


class Chosen(nn.Module):
    """The best of equals: a tie, which each side may break as it likes."""

    def forward(self, x):
        scores = torch.relu(x - 10)
        return (scores * 1e-30 + x.mean(dim=1, keepdim=True)).argmax(dim=1)


class Cancelling(nn.Module):
    def forward(self, x):
        return (x + 1e6) - 1e6


class Halves(nn.Module):
    def forward(self, x):
        return (x.half() * 1.5 + 0.25).float()


class SingleInside(nn.Module):
    def forward(self, x):
        return x.float().exp().double()


MODELS = [
    (Convolutions, {"x": floats(3, 3, 16, 16)}, {"x": ("batch", 3, "height", "width")}),
    pytest.param(Encoder, {"ids": RANDOM.integers(0, 50, (3, 7))}, {"ids": ("batch", "time")}, marks=pytest.mark.slow),
    pytest.param(Recurrent, {"x": floats(3, 5, 6)}, {"x": ("batch", "time", 6)}, marks=pytest.mark.slow),
    (Unet, {"x": floats(3, 1, 16, 12)}, {"x": ("batch", 1, "height", "width")}),
]


@pytest.mark.parametrize(("kind", "example", "axes"), MODELS, ids=["cnn", "encoder", "lstm", "unet"])
def test_whole_models_of_the_usual_kinds(kind, example, axes):
    torch.manual_seed(2)
    examination = examine(Subject.of_module(kind(), example, axes=axes, roots=(HERE,)))
    assert grave(examination.findings) == []
    assert examination.exit_code == 0


@pytest.mark.parametrize(
    ("module", "example"),
    [
        (lambda: Deep(torch.relu), {"x": floats(4, 32)}),
        (lambda: Deep(torch.sin), {"x": floats(4, 32)}),
        (lambda: nn.Linear(400, 3), {"input": floats(4, 400, scale=1e8)}),
        (Chosen, {"x": floats(4, 9)}),
        (Cancelling, {"x": floats(4, 9)}),
        (Halves, {"x": floats(4, 9)}),
        (SingleInside, {"x": RANDOM.normal(size=(4, 9))}),
    ],
    ids=["deep", "chaotic", "large", "tie", "cancelling", "half inside", "single inside"],
)
def test_rounding_is_no_finding(tmp_path, module, example):
    torch.manual_seed(2)
    assert grave(findings(tmp_path, module(), example)) == []
