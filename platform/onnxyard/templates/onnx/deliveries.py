"""A finished .onnx file: what data it is judged on, and how. `make_model.py` says how the file came to be."""

import numpy as np

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Targets, Tensors

CARRIERS = ["", "bike", "drone", "post", "truck"]
"""The first one stands for all that the model does not know."""
DAYS = np.array([4.0, 1.0, 2.0, 3.0, 5.0])


def draw(count: int, seed: int) -> Split:
    """Made-up deliveries: who carries, how many parcels on which weekday, and how heavy."""
    random = np.random.default_rng(seed)
    carrier = random.integers(0, len(CARRIERS), count)
    parcels = np.stack([random.integers(1, 9, count), random.integers(0, 7, count)], axis=1)
    weight = random.gamma(2.0, 4.0, count)
    days = DAYS[carrier] + 0.4 * parcels[:, 0] + 0.1 * weight + (parcels[:, 1] >= 5) + random.normal(0, 0.3, count)
    inputs = {
        "carrier": np.array([CARRIERS[each] or "on foot" for each in carrier], dtype=object)[:, None],
        "parcels": parcels.astype(np.int64),
        "weight": weight.astype(np.float32)[:, None],
    }
    return Split(inputs, np.maximum(days, 0.5).astype(np.float32))


def data(config: Config) -> Splits:
    """Rows that the model was not fitted on; the model was fitted on `draw(4000, 1)`."""
    return Splits(train=draw(600, 2), calibration=draw(200, 3), validation=draw(500, 4), test=draw(1000, 5))


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    """How good the model's outputs are; larger is better."""
    days, late = outputs["days"][:, 0], outputs["late"][:, 0]
    return {
        "within_a_day": float(np.mean(np.abs(days - targets) <= 1.0)),
        "late_accuracy": float(np.mean((late >= 0.5) == (targets > 5.0))),
    }
