"""A model of an ONNX Model Zoo: what data it is judged on, and how. A small zoo of one model lies in `zoo/`."""

import numpy as np
from sklearn.datasets import load_digits

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Targets, Tensors


def data(config: Config) -> Splits:
    """1,797 images of 8 x 8 pixels with 17 grey levels. The model was fitted on this very train split."""
    images, labels = load_digits(return_X_y=True)
    return Splits(train=Split({"image": images.reshape(-1, 8, 8).astype(np.uint8)}, labels))


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    """How good the model's outputs are; larger is better."""
    return {"accuracy": float(np.mean(outputs["logits"].argmax(axis=1) == targets))}
