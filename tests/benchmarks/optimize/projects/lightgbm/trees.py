"""Boosted trees that read digits from 64 noisy pixels: ten classes, a tree each in every round."""

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.datasets import load_digits

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors

PARTS = {"train": (0, 900), "calibration": (900, 1000), "validation": (1000, 1300), "test": (1300, 1797)}
ROWS = {"train": 3000, "calibration": 256, "validation": 2000, "test": 2000}


def data(config: Config) -> Splits:
    """Noisy images of digits FLOAT [rows, 64], and which digit it is. No digit is in two splits."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(9).permutation(len(labels))
    made = {}
    for seed, (name, (first, last)) in enumerate(PARTS.items()):
        random = np.random.default_rng(seed)
        which = order[random.integers(first, last, ROWS[name])]
        noisy = images[which] + random.normal(0, 0.5, (ROWS[name], 64))
        made[name] = Split({"pixels": noisy.astype(np.float32)}, labels[which])
    return Splits(**made)


def train(splits: Splits, config: Config, report: Report) -> LGBMClassifier:
    model = LGBMClassifier(
        n_estimators=config["rounds"] // 10,  # one tree a class each
        num_leaves=31,
        random_state=config["seed"],
        n_jobs=2,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    return model.fit(splits.train.inputs["pixels"], splits.train.targets)


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    return {"accuracy": float(np.mean(outputs["label"] == np.asarray(targets)))}
