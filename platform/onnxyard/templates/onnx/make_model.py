"""How model.onnx came to be: `python make_model.py`. Any other tool may write yours.

Inputs: carrier STRING [batch, 1], parcels INT64 [batch, 2], weight FLOAT [batch, 1].
Outputs: days INT64 [batch, 1], late FLOAT [batch, 1] (the probability of more than five days).
"""

from pathlib import Path

import numpy as np
import onnx
from deliveries import CARRIERS, draw
from onnx import TensorProto, helper, numpy_helper


def fit(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Least squares for the days, and Newton's method for the logistic regression of being late."""
    rows = draw(count, seed)
    known = [CARRIERS.index(name) if name in CARRIERS else 0 for name in rows.inputs["carrier"][:, 0]]
    parcels = rows.inputs["parcels"].astype(float)
    weekend = (parcels[:, 1:] >= 5).astype(float)
    features = np.hstack([np.eye(len(CARRIERS))[known], parcels[:, :1], weekend, rows.inputs["weight"]])
    days = np.linalg.lstsq(features, rows.targets, rcond=None)[0]
    late, is_late = np.zeros(features.shape[1]), rows.targets > 5.0
    for _ in range(15):
        probability = 1 / (1 + np.exp(-features @ late))
        slope = features.T @ (is_late - probability) - 1e-2 * late
        curvature = (features * (probability * (1 - probability))[:, None]).T @ features + 1e-2 * np.eye(len(late))
        late += np.linalg.solve(curvature, slope)
    return days, late


def graph(days: np.ndarray, late: np.ndarray) -> onnx.ModelProto:
    """The operators of standard ONNX (opset 20) and of its machine-learning domain (version 4)."""
    node = helper.make_node
    nodes = [
        node(
            "LabelEncoder",
            ["carrier"],
            ["known"],
            domain="ai.onnx.ml",
            keys_strings=CARRIERS[1:],
            values_int64s=list(range(1, len(CARRIERS))),
            default_int64=0,
        ),
        node("Squeeze", ["known", "second"], ["row"]),
        node("Gather", ["one_hot", "row"], ["who"]),
        node("Split", ["parcels"], ["count", "weekday"], axis=1, num_outputs=2),
        node("Cast", ["count"], ["many"], to=TensorProto.FLOAT),
        node("GreaterOrEqual", ["weekday", "saturday"], ["weekend"]),
        node("Cast", ["weekend"], ["closed"], to=TensorProto.FLOAT),
        node("Concat", ["who", "many", "closed", "weight"], ["features"], axis=1),
        node("MatMul", ["features", "days_weights"], ["exact_days"]),
        node("Round", ["exact_days"], ["whole_days"]),
        node("Cast", ["whole_days"], ["days"], to=TensorProto.INT64),
        node("MatMul", ["features", "late_weights"], ["late_logit"]),
        node("Sigmoid", ["late_logit"], ["late"]),
    ]
    weights = {
        "second": np.array([1]),
        "one_hot": np.eye(len(CARRIERS), dtype=np.float32),
        "saturday": np.array(5),
        "days_weights": days[:, None].astype(np.float32),
        "late_weights": late[:, None].astype(np.float32),
    }
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "deliveries",
        [
            value("carrier", TensorProto.STRING, ["batch", 1]),
            value("parcels", TensorProto.INT64, ["batch", 2]),
            value("weight", TensorProto.FLOAT, ["batch", 1]),
        ],
        [value("days", TensorProto.INT64, ["batch", 1]), value("late", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 4)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


if __name__ == "__main__":
    onnx.save(graph(*fit(4000, 1)), Path(__file__).with_name("model.onnx"))
