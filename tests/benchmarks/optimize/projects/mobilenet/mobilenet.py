"""MobileNet V2 (Sandler et al., 2018) at width 1 with an earlier end, on coloured digits of 3 x 64 x 64."""

from coloured_digits import splits
from torch import nn
from training import accuracy, fit

from onnxyard.project.data import Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
"""Expansion, channels, blocks and stride."""


def data(config: Config) -> Splits:
    return splits(64)


def convolution(inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    padding = side // 2
    return [
        nn.Conv2d(inputs, outputs, side, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    ]


class Inverted(nn.Module):
    """Widen, look at each channel's surroundings, narrow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers = convolution(inputs, wide, 1) if expansion > 1 else []
        layers += convolution(wide, wide, 3, stride, wide)
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.around = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.around else self.layers(x)


class MobileNet(nn.Module):
    """The stem, sixteen blocks, and a classifier over the mean of places."""

    def __init__(self) -> None:
        super().__init__()
        layers, channels = convolution(3, 32, 3, 2), 32
        for expansion, outputs, blocks, stride in STAGES:
            for block in range(blocks):
                layers.append(Inverted(channels, outputs, stride if block == 0 else 1, expansion))
                channels = outputs
        self.layers = nn.Sequential(*layers, *convolution(channels, 640, 1))
        self.head = nn.Linear(640, 10)

    def forward(self, image):
        return self.head(self.layers(image).mean(dim=(2, 3)))


def model(config: Config) -> nn.Module:
    return MobileNet()


def train(splits: Splits, config: Config, report: Report) -> nn.Module:
    return fit(model(config), splits.train, config, report)


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    return accuracy(targets, outputs["logits"])
