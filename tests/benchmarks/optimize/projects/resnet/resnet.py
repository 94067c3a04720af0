"""ResNet-18 (He et al., 2015) with the stem for small images, on coloured digits of 3 x 64 x 64."""

from coloured_digits import splits
from torch import nn
from torch.nn import functional
from training import accuracy, fit

from onnxyard.project.data import Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors


def data(config: Config) -> Splits:
    return splits(64)


class Block(nn.Module):
    """Two 3 x 3 convolutions and a way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        self.around = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.around = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(self.norms[1](self.second(y)) + self.around(x))


class ResNet(nn.Module):
    """The stem, eight blocks of 64 to 512 channels, and the mean over places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)
        )
        sizes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
        sizes += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
        self.blocks = nn.Sequential(*(Block(*size) for size in sizes))
        self.head = nn.Linear(512, 10)

    def forward(self, image):
        return self.head(self.blocks(self.stem(image)).mean(dim=(2, 3)))


def model(config: Config) -> nn.Module:
    return ResNet()


def train(splits: Splits, config: Config, report: Report) -> nn.Module:
    return fit(model(config), splits.train, config, report)


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    return accuracy(targets, outputs["logits"])
