"""The same conversion, the same bytes: tf2onnx walks sets, so its constants get another name and order each time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from onnxyard.runtimes.graph import all_nodes

if TYPE_CHECKING:
    import onnx

_GENERATED = re.compile(r"__\d+(:\d+)?$")


def settle(model: onnx.ModelProto) -> None:
    """Name the constants that tf2onnx made by their order of use, one for those of equal content; drop unused ones."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    kept: dict[str, onnx.TensorProto] = {}
    by_content: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    renamed: dict[str, str] = {}
    for node in all_nodes(model.graph):
        for place, name in enumerate(node.input):
            tensor = weights.get(name)
            if tensor is None:
                continue
            if name not in renamed:
                if _GENERATED.search(name):
                    content = (tensor.data_type, tuple(tensor.dims), tensor.raw_data)
                    renamed[name] = by_content.setdefault(content, f"constant_{len(by_content)}")
                else:
                    renamed[name] = name
                kept.setdefault(renamed[name], tensor)
            node.input[place] = renamed[name]
    kept.update({value.name: weights[value.name] for value in model.graph.output if value.name in weights})
    for name, tensor in kept.items():
        tensor.name = name
    tensors = list(kept.values())
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
