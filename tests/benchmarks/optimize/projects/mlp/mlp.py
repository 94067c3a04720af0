"""A small network on the 569 tumours that come with scikit-learn; the rows are drawn with noise, to have enough."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from torch import nn
from training import accuracy, fit

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors

ROWS = {"train": 1200, "calibration": 256, "validation": 2000, "test": 2000}
NOISE = 0.2
"""Standard deviations."""


def data(config: Config) -> Splits:
    """Measurements of a tumour [rows, 30], standardized, and whether it is benign. No tumour is in two splits."""
    tumours, benign = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(tumours))
    tumours = (tumours - tumours.mean(axis=0)) / tumours.std(axis=0)
    parts = dict(zip(ROWS, np.split(order, [200, 230, 380]), strict=True))
    made = {}
    for seed, (name, part) in enumerate(parts.items()):
        random = np.random.default_rng(seed)
        which = random.choice(part, ROWS[name])
        noisy = tumours[which] + random.normal(0, NOISE, (ROWS[name], 30))
        made[name] = Split({"measurements": noisy.astype(np.float32)}, benign[which])
    return Splits(**made)


class Network(nn.Module):
    """One hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, measurements):
        return self.layers(measurements)


def model(config: Config) -> nn.Module:
    return Network()


def train(splits: Splits, config: Config, report: Report) -> nn.Module:
    return fit(model(config), splits.train, config, report)


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    return accuracy(targets, outputs["logits"])
