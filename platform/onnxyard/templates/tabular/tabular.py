"""Breast-cancer diagnosis from 30 named measurements: a small multilayer perceptron."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.nn import functional

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors


def data(config: Config) -> Splits:
    """569 cell samples of 30 measurements each; 0 is malignant, 1 benign.

    Calibration, validation and test splits (5, 15 and 30 %) are taken off by Onnxyard, seeded and stratified; give
    your own as `Splits(train, calibration, validation, test)`.
    """
    features, diagnosis = load_breast_cancer(return_X_y=True)
    return Splits(train=Split({"features": features.astype(np.float32)}, diagnosis))


class Network(nn.Module):
    """Standardise, then two linear layers. The mean and spread are buffers, so they travel inside the model."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Measurements [rows, 30] to logits [rows, 2]."""
        return self.layers((features - self.mean) / self.spread)


def model(config: Config) -> Network:
    """The architecture, not yet trained; also what the stored weights are loaded into."""
    return Network(features=30, hidden=config["hidden"])


def train(splits: Splits, config: Config, report: Report) -> Network:
    """Learn the scale of each column, then the layers, on `splits.train`."""
    features, diagnosis = torch.from_numpy(splits.train.inputs["features"]), torch.from_numpy(splits.train.targets)
    network = model(config)
    network.mean.copy_(features.mean(dim=0))
    network.spread.copy_(features.std(dim=0))
    optimizer = torch.optim.AdamW(network.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"])
    for epoch in range(config["epochs"]):
        losses = []
        for rows in torch.randperm(len(diagnosis)).split(config["batch_size"]):
            loss = functional.cross_entropy(network(features[rows]), diagnosis[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        report(epoch, {"loss": float(np.mean(losses)), "accuracy": accuracy(network, splits.validation)})
    return network


def accuracy(network: Network, split: Split) -> float:
    """The share of samples that the network diagnoses right."""
    with torch.no_grad():
        logits = network(torch.from_numpy(split.inputs["features"])).numpy()
    return metrics(split.targets, {"logits": logits})["accuracy"]


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    """How good the model's outputs are; larger is better."""
    return {"accuracy": float(np.mean(outputs["logits"].argmax(axis=1) == targets))}
