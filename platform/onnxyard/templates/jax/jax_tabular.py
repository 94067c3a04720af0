"""Breast-cancer diagnosis from 30 named measurements: data and metrics. `training.py` holds what needs JAX."""

import numpy as np
from sklearn.datasets import load_breast_cancer

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Targets, Tensors


def data(config: Config) -> Splits:
    """569 cell samples of 30 measurements each; 0 is malignant, 1 benign.

    Calibration, validation and test splits (5, 15 and 30 %) are taken off by Onnxyard, seeded and stratified; give
    your own as `Splits(train, calibration, validation, test)`.
    """
    features, diagnosis = load_breast_cancer(return_X_y=True)
    return Splits(train=Split({"features": features.astype(np.float32)}, diagnosis))


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    """How good the model's outputs are; larger is better."""
    return {"accuracy": float(np.mean(outputs["logits"].argmax(axis=1) == targets))}
