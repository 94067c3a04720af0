"""Batch normalization becomes part of the layer in front of it, or behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from onnx import helper

from onnxyard.stages.optimize.passes.model_file import rewritten
from onnxyard.stages.optimize.passes.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import onnx

    from onnxyard.stages.optimize.passes.transformation import Materials, Transformed

_OLDEST_OPSET = 9
"""Before it, the normalization had modes of its own (`spatial`, `is_test`)."""


@dataclass(frozen=True, slots=True)
class FoldBatchNorm:
    """Fold each BatchNormalization of fixed statistics into a Conv, ConvTranspose, Gemm or MatMul beside it.

    At inference it is `s * x + t` per channel, with `s = scale / sqrt(variance + epsilon)` and `t = bias - mean * s`
    (Ioffe and Szegedy 2015, arXiv:1502.03167). Behind a linear layer, `s` scales the weights' output channels; in
    front of one, the input channels, and `t` goes through the weights into the bias. A Conv that pads with zeros would
    have to pad with `-t / s` then, so it is taken only where it pads nothing, or `t` is zero. Runtimes fold the first
    kind themselves when they load; the second they leave. The arithmetic is done in float64.
    """

    packages: ClassVar[tuple[str, ...]] = ("onnx", "numpy")
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`."""
        return rewritten(source, folder, _fold)


class _Affine(NamedTuple):
    """`s * x + t`, float64 [channels] each."""

    s: np.ndarray
    t: np.ndarray


class _Layer(NamedTuple):
    """A linear layer's constants in float64.

    Attributes:
        node: The layer.
        weights: As the node takes them.
        bias: As the node takes it, `beta` of a Gemm included; a zero where there is none.
        given: The node's attributes by name.
    """

    node: onnx.NodeProto
    weights: np.ndarray
    bias: np.ndarray
    given: Mapping[str, Any]

    @property
    def groups(self) -> int:
        """Of a convolution's channels."""
        return int(self.given.get("group", 1))

    @property
    def matrix(self) -> np.ndarray:
        """A product's weights as [inputs, outputs]."""
        return self.weights.T if self.given.get("transB") else self.weights

    def laid_out(self, matrix: np.ndarray) -> np.ndarray:
        """Weights [inputs, outputs] as the node takes them."""
        return matrix.T if self.given.get("transB") else matrix


_Folded = tuple[np.ndarray, np.ndarray] | None
"""New weights and bias; None where the layer does not allow it."""


def _fold(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Mapping[str, str]] | None:
    wiring = Wiring(model)
    behind = before = 0
    if wiring.opset >= _OLDEST_OPSET:
        for norm in [node for node in model.graph.node if node.op_type == "BatchNormalization" and not node.domain]:
            affine = _affine(norm, wiring)
            if affine is None:
                continue
            if _into_layer_in_front(norm, affine, wiring):
                behind += 1
            elif _into_layers_behind(norm, affine, wiring):
                before += 1
    if not behind + before:
        return None
    wiring.drop_unread()
    return model, {"batch norms folded": f"{behind} into the layer in front, {before} into the layers behind"}


def _affine(norm: onnx.NodeProto, wiring: Wiring) -> _Affine | None:
    given = _attributes(norm)
    constants = [wiring.constant(name) for name in norm.input[1:]]
    if given.get("training_mode") or len([name for name in norm.output if name]) != 1:
        return None
    if any(array is None for array in constants):
        return None
    scale, bias, mean, variance = (np.asarray(array, np.float64) for array in constants)
    with np.errstate(all="ignore"):  # a variance below zero: told by the check for finite weights
        s = scale / np.sqrt(variance + given.get("epsilon", 1e-5))
        return _Affine(s, bias - mean * s)


def _into_layer_in_front(norm: onnx.NodeProto, affine: _Affine, wiring: Wiring) -> bool:
    layer = _layer(wiring.producer(norm.input[0]), norm.input[0], wiring)
    if layer is None or wiring.readers(norm.input[0]) != [norm] or list(norm.input).count(norm.input[0]) > 1:
        return False
    if not _replace([(layer, _OUTPUTS[layer.node.op_type](layer, affine))], wiring):
        return False
    layer.node.output[0] = norm.output[0]
    wiring.remove(norm)
    return True


def _into_layers_behind(norm: onnx.NodeProto, affine: _Affine, wiring: Wiring) -> bool:
    given = norm.output[0]
    layers = [
        _layer(node, given if node.op_type == "MatMul" else "", wiring) if list(node.input).index(given) == 0 else None
        for node in wiring.readers(given)
    ]
    known = [layer for layer in layers if layer is not None and layer.node.op_type in _INPUTS]
    if not layers or len(known) < len(layers):
        return False
    if not _replace([(layer, _INPUTS[layer.node.op_type](layer, affine)) for layer in known], wiring):
        return False
    for layer in known:
        layer.node.input[0] = norm.input[0]
    wiring.remove(norm)
    return True


def _layer(node: onnx.NodeProto | None, matrix: str, wiring: Wiring) -> _Layer | None:
    """The node as a linear layer of constant weights; a MatMul only where `matrix`, which it gives or takes, is one."""
    if node is None or node.op_type not in _OUTPUTS or node.domain or len(node.input) < 2:
        return None
    if node.op_type == "MatMul" and wiring.rank(matrix) != 2:
        return None
    weights = wiring.constant(node.input[1])
    bias = wiring.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(())
    if weights is None or bias is None or (node.op_type == "MatMul" and weights.ndim != 2):
        return None
    given = _attributes(node)
    return _Layer(node, np.asarray(weights, np.float64), np.asarray(bias, np.float64) * given.get("beta", 1.0), given)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _conv_outputs(layer: _Layer, affine: _Affine) -> _Folded:
    if layer.weights.shape[0] != affine.s.size:
        return None
    return layer.weights * _first(affine.s, layer.weights.ndim), layer.bias * affine.s + affine.t


def _conv_transpose_outputs(layer: _Layer, affine: _Affine) -> _Folded:
    inputs, outputs, *kernel = layer.weights.shape
    if layer.groups * outputs != affine.s.size:
        return None
    grouped = layer.weights.reshape(layer.groups, inputs // layer.groups, outputs, *kernel)
    scale = affine.s.reshape(layer.groups, 1, outputs, *(1 for _ in kernel))
    return (grouped * scale).reshape(layer.weights.shape), layer.bias * affine.s + affine.t


def _product_outputs(layer: _Layer, affine: _Affine) -> _Folded:
    if layer.matrix.shape[1] != affine.s.size:
        return None
    return layer.laid_out(layer.matrix * affine.s), layer.bias * affine.s + affine.t


def _conv_inputs(layer: _Layer, affine: _Affine) -> _Folded:
    outputs, inputs, *kernel = layer.weights.shape
    if layer.groups * inputs != affine.s.size or (affine.t.any() and _pads(layer)):
        return None
    grouped = layer.weights.reshape(layer.groups, outputs // layer.groups, inputs, *kernel)
    shape = (layer.groups, 1, inputs, *(1 for _ in kernel))
    moved = (grouped * affine.t.reshape(shape)).reshape(outputs, -1).sum(axis=1)
    return (grouped * affine.s.reshape(shape)).reshape(layer.weights.shape), layer.bias + moved


def _product_inputs(layer: _Layer, affine: _Affine) -> _Folded:
    if layer.given.get("transA") or layer.matrix.shape[0] != affine.s.size:
        return None
    moved = layer.given.get("alpha", 1.0) * (affine.t @ layer.matrix)
    return layer.laid_out(layer.matrix * affine.s[:, None]), layer.bias + moved


_OUTPUTS: dict[str, Callable[[_Layer, _Affine], _Folded]] = {
    "Conv": _conv_outputs,
    "ConvTranspose": _conv_transpose_outputs,
    "Gemm": _product_outputs,
    "MatMul": _product_outputs,
}
_INPUTS: dict[str, Callable[[_Layer, _Affine], _Folded]] = {
    "Conv": _conv_inputs,
    "Gemm": _product_inputs,
    "MatMul": _product_inputs,
}


def _pads(layer: _Layer) -> bool:
    automatic = layer.given.get("auto_pad", b"NOTSET")
    return any(layer.given.get("pads", ())) if automatic == b"NOTSET" else automatic != b"VALID"


def _first(channels: np.ndarray, axes: int) -> np.ndarray:
    return channels.reshape(-1, *(1 for _ in range(axes - 1)))


def _replace(folded: list[tuple[_Layer, _Folded]], wiring: Wiring) -> bool:
    """Give every layer its new constants, or none of them any: False where one does not allow it, or overflows."""
    ready = []
    for layer, constants in folded:
        if constants is None:
            return False
        own = wiring.constant(layer.node.input[1])
        assert own is not None  # noqa: S101 - it is a layer because this is constant
        with np.errstate(over="ignore"):
            weights, bias = (array.astype(own.dtype) for array in constants)
        if not all(np.isfinite(array.astype(np.float64)).all() for array in (weights, bias)):
            return False
        ready.append((layer.node, weights, bias))
    for node, weights, bias in ready:
        name = node.input[1]
        scaled, moved = wiring.add_constant(f"{name}/scaled", weights), wiring.add_constant(f"{name}/moved", bias)
        node.input[:] = [node.input[0], scaled, moved]
        if node.op_type == "MatMul":
            node.op_type = "Gemm"
        for attribute in [a for a in node.attribute if a.name == "beta"]:
            node.attribute.remove(attribute)
    return True
