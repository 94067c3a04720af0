"""What stands behind the model. This one file travels with every version, so it needs numpy alone."""

import numpy as np


def postprocess(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Logits to the diagnosis (0 malignant, 1 benign), INT64 [rows], and both probabilities, FLOAT [rows, 2]."""
    logits = outputs["logits"]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return {"diagnosis": logits.argmax(axis=1), "probabilities": probabilities}
