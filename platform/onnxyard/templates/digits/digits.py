"""Handwritten digits: a small convolutional network, from data to metrics."""

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors


def data(config: Config) -> Splits:
    """1,797 images of 8 x 8 pixels with 17 grey levels.

    Calibration, validation and test splits (5, 15 and 30 %) are taken off by Onnxyard, seeded and stratified; give
    your own as `Splits(train, calibration, validation, test)`.
    """
    images, labels = load_digits(return_X_y=True)
    return Splits(train=Split({"image": images.reshape(-1, 8, 8).astype(np.uint8)}, labels))


class Network(nn.Module):
    """Two convolutions, two linear layers."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(2 * channels * 4 * 4, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, 10)
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels [rows, 1, 8, 8] in 0..1 to logits [rows, 10]."""
        return self.classifier(self.features(pixels))


def model(config: Config) -> Network:
    """The architecture, not yet trained; also what the stored weights are loaded into."""
    return Network(config["channels"], config["dropout"])


def train(splits: Splits, config: Config, report: Report) -> Network:
    """Fit on `splits.train`, whose images have been through `preprocess` already."""
    network = model(config)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config["learning_rate"])
    for epoch in range(config["epochs"]):
        network.train()
        losses = []
        for inputs, labels in shuffled(splits.train, config["batch_size"]):
            loss = functional.cross_entropy(network(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        report(epoch, {"loss": float(np.mean(losses)), "accuracy": accuracy(network, splits.validation)})
    return network


def shuffled(split: Split, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Every row once, in a new order each time; Onnxyard has seeded torch."""
    pixels, labels = torch.from_numpy(split.inputs["pixels"]), torch.from_numpy(split.targets)
    for rows in torch.randperm(len(labels)).split(batch_size):
        yield pixels[rows], labels[rows]


def accuracy(network: Network, split: Split) -> float:
    """The share of images whose digit the network reads right."""
    network.eval()
    with torch.no_grad():
        logits = network(torch.from_numpy(split.inputs["pixels"])).numpy()
    return metrics(split.targets, {"logits": logits})["accuracy"]


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    """How good the model's outputs are; larger is better."""
    return {"accuracy": float(np.mean(outputs["logits"].argmax(axis=1) == targets))}
