"""What stands before and behind the model. This one file travels with every version, so it needs numpy alone."""

import numpy as np


def preprocess(raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Images as a camera gives them, UINT8 [rows, 8, 8] with levels 0..16, to pixels FLOAT [rows, 8, 8, 1] in 0..1."""
    return {"pixels": raw["image"][..., np.newaxis].astype(np.float32) / 16}


def postprocess(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Logits to the digit, INT64 [rows], and the probability of each digit, FLOAT [rows, 10]."""
    logits = outputs["logits"]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return {"label": logits.argmax(axis=1), "probabilities": probabilities}
