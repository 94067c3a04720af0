"""Handwritten digits: data and metrics. `training.py` holds what needs Keras."""

import numpy as np
from sklearn.datasets import load_digits

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Targets, Tensors


def data(config: Config) -> Splits:
    """1,797 images of 8 x 8 pixels with 17 grey levels.

    Calibration, validation and test splits (5, 15 and 30 %) are taken off by Onnxyard, seeded and stratified; give
    your own as `Splits(train, calibration, validation, test)`.
    """
    images, labels = load_digits(return_X_y=True)
    return Splits(train=Split({"image": images.reshape(-1, 8, 8).astype(np.uint8)}, labels))


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    """How good the model's outputs are; larger is better."""
    return {"accuracy": float(np.mean(outputs["logits"].argmax(axis=1) == targets))}
