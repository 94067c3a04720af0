"""`Erfc`, which tf2onnx 1.17 cannot translate and every exact `gelu` of Keras holds: 1 - Erf(x), exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tf2onnx import utils
from tf2onnx.handler import tf_op

REMEDY = "Erfc (as in an exact gelu) written as 1 - Erf."


@dataclass(slots=True)
class Applied:
    """Whether the translation was used."""

    used: bool = False


def register() -> Applied:
    """Add the translation to tf2onnx's own, from opset 9 (the first with `Erf`) on."""
    applied = Applied()

    @tf_op("Erfc")
    class _Erfc:
        @classmethod
        def version_9(cls, graph: Any, node: Any, **_: Any) -> None:
            applied.used = True
            output, dtype, shape = node.output[0], graph.get_dtype(node.output[0]), graph.get_shape(node.output[0])
            one = graph.make_const(utils.make_name("one"), np.array(1, utils.map_onnx_to_numpy_type(dtype)))
            erf = graph.make_node("Erf", [node.input[0]], name=utils.make_name(node.name))
            graph.remove_node(node.name)
            graph.make_node(
                "Sub", [one.output[0], erf.output[0]], name=node.name, outputs=[output], shapes=[shape], dtypes=[dtype]
            )

    return applied
