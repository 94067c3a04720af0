"""Resizes and grid samplings by themselves: the framework's function and the graph's node on the same data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from torch.nn import functional

from onnxyard.diagnosis.doctor.noise import ULPS, rounding
from onnxyard.diagnosis.doctor.places import Place
from onnxyard.diagnosis.doctor.torch.walk import RESAMPLING, Call
from onnxyard.runtimes.graph import all_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxyard.diagnosis.doctor.case import Case

_NODES = {"interpolate": ("Resize", "Upsample"), "grid_sample": ("GridSample",)}
_CHANNELS = 2
_SEED = 7
_FATAL = 4
_EPSILON = float(np.finfo(np.float32).eps)
_ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.RuntimeException,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.NotImplemented,
)


@dataclass(frozen=True)
class Resampling:
    """One call in the framework with the node that stands for it.

    Attributes:
        call: The call.
        node: The node.
        place: Where it is.
        opset: The graph's.
        scales: The node's own scales; None where it takes sizes, or computes them.
    """

    call: Call
    node: onnx.NodeProto
    place: Place
    opset: int
    scales: np.ndarray | None
    _apart: dict[tuple[int, ...], float] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """As `interpolate(mode='bicubic', align_corners=True)`."""
        options = [*map(repr, self.call.options[0]), *(f"{k}={v!r}" for k, v in self.call.options[1].items())]
        return f"{self.call.function}({', '.join(option for option in options if not option.endswith('None'))})"

    def apart(self, spatial: tuple[int, ...]) -> float:
        """The largest difference at this input size, relative to the largest value; 0 where rounding explains it.

        Also 0 where one of them does not take this size.
        """
        if spatial not in self._apart:
            self._apart[spatial] = self._measured(spatial)
        return self._apart[spatial]

    def _measured(self, spatial: tuple[int, ...]) -> float:
        random = np.random.default_rng(_SEED)
        data = random.normal(size=(1, _CHANNELS, *spatial)).astype(np.float32)
        grid = None
        if self.call.function == "grid_sample":
            size = (1, *(length + 1 for length in spatial), len(spatial))
            grid = random.uniform(-1.2, 1.2, size=size).astype(np.float32)
        wanted = self._framework(data, grid)
        got = None if wanted is None else self._graph(data, grid, wanted.shape)
        if wanted is None or got is None or got.shape != wanted.shape:
            return 0.0
        moved = self._framework(data * (1 + ULPS * _EPSILON * random.uniform(-1, 1, data.shape)), grid)
        noise = 0.0 if moved is None else float(np.abs(moved - wanted).max())
        error = float(np.abs(got - wanted).max())
        return error / float(np.abs(wanted).max()) if error > max(noise, rounding(wanted, _EPSILON)) else 0.0

    def _framework(self, data: np.ndarray, grid: np.ndarray | None) -> np.ndarray | None:
        tensors = [torch.from_numpy(array.astype(np.float32)) for array in (data, grid) if array is not None]
        positional, named = self.call.options
        named = {key: value for key, value in named.items() if key not in {"input", "grid"}}
        try:
            made: torch.Tensor = getattr(functional, self.call.function)(*tensors, *positional, **named)
        except (RuntimeError, ValueError, NotImplementedError):
            return None
        return made.numpy()

    def _graph(self, data: np.ndarray, grid: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
        node = onnx.NodeProto()
        node.CopyFrom(self.node)
        del node.input[:], node.output[:], node.metadata_props[:]
        node.output.append("made")
        feed = {"data": data}
        if grid is not None:
            node.input.extend(["data", "grid"])
            feed["grid"] = grid
        else:
            axes = next((list(a.ints) for a in self.node.attribute if a.name == "axes"), list(range(data.ndim)))
            if len(self.node.input) > 3 and self.node.input[3]:
                node.input.extend(["data", "", "", "sizes"])
                feed["sizes"] = np.array([shape[axis] for axis in axes], dtype=np.int64)
            else:
                node.input.extend(["data", "", "scales"])
                by_shape = np.array([shape[axis] / data.shape[axis] for axis in axes], dtype=np.float32)
                given = "scale_factor" in self.call.options[1] or self.call.options[0][:1] == (None,)
                feed["scales"] = self.scales if self.scales is not None and given else by_shape
        values = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feed.items()
        ]
        made = helper.make_tensor_value_info("made", TensorProto.FLOAT, [None] * len(shape))
        graph = helper.make_graph([node], "alone", values, [made])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        options = ort.SessionOptions()
        options.log_severity_level = _FATAL
        try:
            session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            answer: np.ndarray = session.run(None, feed)[0]
        except _ORT_ERRORS:
            return None
        return answer


def resamplings(case: Case, inputs: Mapping[str, np.ndarray]) -> Iterator[Resampling]:
    """Each resize and grid sampling that the module does for these inputs, with the node that stands for it.

    Calls and nodes are paired in order, where there are equally many of a kind; else none is.
    """
    torch_reference = case.subject.torch
    calls = [] if torch_reference is None else torch_reference.walk(inputs).calls
    opset = next(entry.version for entry in case.proto.opset_import if entry.domain in {"", "ai.onnx"})
    for function in sorted(RESAMPLING):
        made = [call for call in calls if call.function == function]
        nodes = [node for node in all_nodes(case.proto.graph) if node.op_type in _NODES[function] and not node.domain]
        if len(made) == len(nodes):
            for call, node in zip(made, nodes, strict=True):
                place = case.places.at(call.module, call.source, node=node.name)
                yield Resampling(call, node, place, opset, _scales(case, node))


def _scales(case: Case, node: onnx.NodeProto) -> np.ndarray | None:
    named = [name for name in node.input[1:] if name in case.constants]
    arrays = [numpy_helper.to_array(case.constants[name]) for name in named]
    return next((array for array in arrays if array.dtype == np.float32 and array.size), None)
