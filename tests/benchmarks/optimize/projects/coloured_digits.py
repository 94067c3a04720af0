"""Handwritten digits (they come with scikit-learn), enlarged, coloured, moved and set on a noisy ground."""

import numpy as np
from sklearn.datasets import load_digits

from onnxyard.project.data import Split, Splits

PARTS = {"train": (0, 1100), "calibration": (1100, 1200), "validation": (1200, 1500), "test": (1500, 1797)}
"""Which of the 1,797 digits each split's images are made of: no digit is in two splits."""
IMAGES = {"train": 1600, "calibration": 256, "validation": 2000, "test": 2000}


def splits(side: int) -> Splits:
    """Images FLOAT [rows, 3, side, side] around 0, and which digit it is."""
    images, labels = load_digits(return_X_y=True)
    digits = images.reshape(-1, 8, 8).astype(np.float32) / 16
    made = {}
    for seed, (name, (first, last)) in enumerate(PARTS.items()):
        random = np.random.default_rng(seed)
        which = random.integers(first, last, IMAGES[name])
        made[name] = Split({"image": np.stack([_image(digits[at], side, random) for at in which])}, labels[which])
    return Splits(**made)


def _image(digit: np.ndarray, side: int, random: np.random.Generator) -> np.ndarray:
    height = int(random.integers(side * 5 // 8, side + 1))
    ink = _enlarged(digit, height)
    image = random.normal(0, 0.15, (3, side, side)).astype(np.float32)
    image += random.uniform(-0.3, 0.3, (3, 1, 1)).astype(np.float32)
    x, y = random.integers(0, side - height + 1, 2)
    image[:, y : y + height, x : x + height] += ink * random.uniform(0.5, 1.5, (3, 1, 1)).astype(np.float32)
    return image


def _enlarged(digit: np.ndarray, side: int) -> np.ndarray:
    """8 x 8 to side x side, bilinear."""
    places = ((np.arange(side) + 0.5) * 8 / side - 0.5).clip(0, 7)
    weights = np.maximum(0, 1 - np.abs(places[:, np.newaxis] - np.arange(8))).astype(np.float32)
    return weights @ digit @ weights.T
