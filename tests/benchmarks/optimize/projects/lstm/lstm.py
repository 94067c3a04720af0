"""Which of eight gestures a row of sensor readings shows: oscillations of two rates that come one after the other."""

import numpy as np
from torch import nn
from training import accuracy, fit

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors

STEPS, SENSORS, CLASSES = 64, 16, 8
ROWS = {"train": 1600, "calibration": 256, "validation": 2000, "test": 2000}
RATES = (2.0, 5.0, 9.0)
NOISE = 0.8


def data(config: Config) -> Splits:
    """Readings FLOAT [rows, STEPS, SENSORS], and the gesture."""
    mixing = np.random.default_rng(9).normal(size=(2, SENSORS))
    made = {}
    for seed, (name, count) in enumerate(ROWS.items()):
        random = np.random.default_rng(seed)
        gestures = random.integers(0, CLASSES, count)
        made[name] = Split({"readings": _readings(gestures, mixing, random)}, gestures)
    return Splits(**made)


def _readings(gestures: np.ndarray, mixing: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The first half oscillates at one rate and the second at another: the pair of them, in order, is the gesture."""
    pairs = [(first, second) for first in RATES for second in RATES][:CLASSES]
    time = np.linspace(0, 1, STEPS // 2)
    rates = np.array(pairs)[gestures]
    phases = random.uniform(0, 2 * np.pi, (len(gestures), 2, 1))
    halves = [2 * np.pi * rates[:, half, np.newaxis] * time + phases[:, half] for half in (0, 1)]
    angle = np.concatenate(halves, axis=1)
    waves = np.stack([np.sin(angle), np.cos(angle)], axis=2) @ mixing
    return (waves + random.normal(0, NOISE, waves.shape)).astype(np.float32)


class Reader(nn.Module):
    """An LSTM, and a classifier over the mean of its states."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(SENSORS, 128, num_layers=2, batch_first=True)
        self.head = nn.Linear(128, CLASSES)

    def forward(self, readings):
        return self.head(self.lstm(readings)[0].mean(dim=1))


def model(config: Config) -> nn.Module:
    return Reader()


def train(splits: Splits, config: Config, report: Report) -> nn.Module:
    return fit(model(config), splits.train, config, report)


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    return accuracy(targets, outputs["logits"])
