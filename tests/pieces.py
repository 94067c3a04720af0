"""Steps run by themselves: as the graph they become, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from onnxyard.lifecycle.signature import TensorSpec
from onnxyard.processing.composing import back, front
from onnxyard.processing.steps import BY_NAME
from onnxyard.runtimes.graph import describe_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.tensors.dtypes import onnx_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from onnxyard.processing.step import Step
    from onnxyard.runtimes.onnxruntime import OrtModel


def step(name: str, **parameters: Any) -> Step:
    """A step as its table in a project file gives it."""
    return BY_NAME[name].model_validate({"step": name, **parameters})


def specs(tensors: Mapping[str, np.ndarray], free: tuple[int, ...] = (0,)) -> list[TensorSpec]:
    """The tensors' specs with these axes dynamic."""
    return [
        TensorSpec(
            name,
            onnx_name(array.dtype),
            tuple(f"axis{at}" if at in free else length for at, length in enumerate(array.shape)),
        )
        for name, array in tensors.items()
    ]


def loaded(model: onnx.ModelProto, opset: int) -> OrtModel:
    """The piece in ONNX Runtime; it is valid and has exactly this opset."""
    onnx.checker.check_model(model, full_check=True)
    assert describe_graph(model).opset == opset
    return OnnxRuntime.load_bytes(model.SerializeToString())


def before(
    steps: list[Step],
    raw: Mapping[str, np.ndarray],
    *,
    opset: int = 20,
    root: Path = Path(),
    free: tuple[int, ...] = (0,),
) -> dict[str, np.ndarray]:
    """What steps before a model give, the carried tensors included, by plain names."""
    piece = front(steps, specs(raw, free), opset=opset, root=root)
    return {name.removeprefix("preprocess/"): values for name, values in loaded(piece.model, opset).run(raw).items()}


def behind(steps: list[Step], outputs: Mapping[str, np.ndarray], *, opset: int = 20) -> dict[str, np.ndarray]:
    """What steps behind a model give."""
    model = back(steps, specs(outputs), {}, opset=opset, root=Path())
    return loaded(model, opset).run({f"model/{name}": values for name, values in outputs.items()})
