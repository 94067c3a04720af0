"""Scenes to find things in: handwritten digits, enlarged and scattered over a noisy ground. Nothing is downloaded."""

import numpy as np
from sklearn.datasets import load_digits

HEIGHT, WIDTH = 256, 384
SMALLEST, LARGEST = 64, 96
"""Sides of a digit, in pixels of the scene."""
MOST = 4
"""Digits of a scene, at most."""
SPLITS = {"train": (0, 1100), "calibration": (1100, 1200), "validation": (1200, 1400), "test": (1400, 1797)}
"""Which of the 1,797 digits a split's scenes are made of: no digit is in two splits."""


def scenes(split: str, count: int, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Images UINT8 [count, HEIGHT, WIDTH, 1], and per image its objects FLOAT [n, 5]: x1, y1, x2, y2, digit."""
    images, labels = load_digits(return_X_y=True)
    digits = images.reshape(-1, 8, 8) / 16
    rng = np.random.default_rng(seed)
    made = [_scene(digits, labels, range(*SPLITS[split]), rng) for _ in range(count)]
    return np.stack([image for image, _ in made]), [objects for _, objects in made]


def _scene(
    digits: np.ndarray, labels: np.ndarray, mine: range, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    ground = rng.uniform(20, 90) + np.linspace(0, rng.uniform(-20, 40), WIDTH)
    image = np.tile(ground, (HEIGHT, 1)) + rng.normal(0, 10, (HEIGHT, WIDTH))
    objects: list[list[float]] = []
    for _ in range(rng.integers(1, MOST + 1)):
        side = int(rng.integers(SMALLEST, LARGEST + 1))
        x, y = int(rng.integers(0, WIDTH - side)), int(rng.integers(0, HEIGHT - side))
        which = int(rng.integers(mine.start, mine.stop))
        ink = _enlarged(digits[which], side)
        rows, columns = (np.flatnonzero(ink.max(axis=axis) > 0.3) for axis in (1, 0))
        box = [x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1]
        if any(_touch(box, other) for other in objects):
            continue
        place = image[y : y + side, x : x + side]
        place += ink * rng.uniform(90, 150)
        objects.append([*map(float, box), float(labels[which])])
    return image.clip(0, 255).astype(np.uint8)[..., np.newaxis], np.array(objects, dtype=np.float32)


def _enlarged(digit: np.ndarray, side: int) -> np.ndarray:
    """8 x 8 to side x side, bilinear."""
    places = ((np.arange(side) + 0.5) * 8 / side - 0.5).clip(0, 7)
    weights = np.maximum(0, 1 - np.abs(places[:, np.newaxis] - np.arange(8)))
    return weights @ digit @ weights.T


def _touch(a: list[float], b: list[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
