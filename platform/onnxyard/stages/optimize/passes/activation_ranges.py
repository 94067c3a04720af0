"""The ranges of a model's activations, measured once and carried in the model for whatever quantizes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize.passes.calibration import first_rows
from onnxyard.stages.optimize.passes.model_file import MODEL
from onnxyard.stages.optimize.passes.range_methods import Histogram, Range, entropy_range, percentile_range
from onnxyard.stages.optimize.passes.rows_run import run_rows
from onnxyard.stages.optimize.passes.transformation import Transformed
from onnxyard.stages.optimize.passes.typed_graph import load_typed, opset_of, raised_to, takes_any_batch, tensor_types

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnxyard.stages.optimize.passes.transformation import Batches, Materials

Method = Literal["minmax", "entropy", "percentile"]
"""All that was seen; the clipping that keeps most information; what is left without the outermost values."""

_QDQ_OPSET = 13
"""From it on, DequantizeLinear has a scale per channel."""
_KEY = "onnxyard.activation_ranges"
_FEWEST_ROWS = 32
_VALUES = 1 << 28
"""Rows beyond the fewest are looked at until so many activations were seen: a ResNet-18 at 224 px takes 46 rows."""
_SAMPLES = 1 << 16
"""Values of a tensor that go into its histogram per batch. It bounds the memory: 250 tensors take 66 MB."""


@dataclass(frozen=True, slots=True)
class MeasureRanges:
    """Run calibration rows through the model once, and note each activation's range in the model's metadata.

    The graph stays as it is, but for an opset below 13, which is raised. Recipes that quantize in different ways share
    what this gives. Least and largest values are exact; the histograms, of which the other ranges are made
    (`range_methods`), hold a sample.

    Attributes:
        percentile: Per cent of the values that the method `percentile` keeps.
    """

    percentile: float = 99.99

    packages: ClassVar[tuple[str, ...]] = ("numpy", "onnx", "onnxruntime")
    calibrates: ClassVar[bool] = True

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        """See `Pass`. Raises UnsupportedModelError also where an activation is not finite."""
        given = load_typed(source)
        cut = takes_any_batch(given)
        model = raised_to(given, _QDQ_OPSET, first_rows(materials.calibration(), 2, cut=cut))
        sizes = _sizes(model, materials.calibration, cut=cut)
        rows = max(_FEWEST_ROWS, _VALUES // max(sum(sizes.values()), 1))
        ranges, histograms = _measured(model, first_rows(materials.calibration(), rows, cut=cut), sizes)
        _note(
            model,
            {
                "minmax": ranges,
                "entropy": {name: _within(entropy_range(seen), ranges[name]) for name, seen in histograms.items()},
                "percentile": {
                    name: _within(percentile_range(seen, self.percentile), ranges[name])
                    for name, seen in histograms.items()
                },
            },
        )
        save_model(model, folder / MODEL)
        if model is given:
            return Transformed(folder / MODEL, changed=False)
        facts = {"opset": f"raised from {opset_of(given)} to {opset_of(model)}"}
        return Transformed(folder / MODEL, changed=True, facts=facts)


def noted_ranges(model: onnx.ModelProto, method: Method) -> dict[str, Range]:
    """Take the measured ranges out of a model's metadata, by tensor.

    Raises:
        UnsupportedModelError: there are none; `MeasureRanges` stands in front of what asks for them.
    """
    for entry in model.metadata_props:
        if entry.key == _KEY:
            noted = json.loads(entry.value)[method]
            model.metadata_props.remove(entry)
            return {name: (low, high) for name, (low, high) in noted.items()}
    raise UnsupportedModelError("No activation ranges were measured for this model.")


def _note(model: onnx.ModelProto, ranges: dict[str, dict[str, Range]]) -> None:
    for entry in [entry for entry in model.metadata_props if entry.key == _KEY]:
        model.metadata_props.remove(entry)
    model.metadata_props.add(key=_KEY, value=json.dumps(ranges))


def _sizes(model: onnx.ModelProto, calibration: Batches, *, cut: bool) -> dict[str, int]:
    """How many values each activation has per row (or per batch, where its size is baked in)."""
    watched = _with_outputs(
        model,
        {
            f"{name}/size": ([helper.make_node("Size", [name], [f"{name}/size"])], TensorProto.INT64)
            for name in _activations(model)
        },
    )
    (seen,) = run_rows(watched, islice(first_rows(calibration(), 1, cut=cut), 1))
    return {name.removesuffix("/size"): int(size) for name, size in seen.items() if size}


def _measured(
    model: onnx.ModelProto, batches: Iterator[dict[str, np.ndarray]], sizes: dict[str, int]
) -> tuple[dict[str, Range], dict[str, Histogram]]:
    """Each activation's least and largest value, and its histogram.

    The graph itself reduces and samples the tensors, so that no activation outlives its node.
    """
    ranges = dict.fromkeys(sizes, (np.inf, -np.inf))
    histograms = {name: Histogram() for name in sizes}
    for seen in run_rows(_watching(model, sizes), batches):
        for name in sizes:
            low, high = float(seen[f"{name}/least"]), float(seen[f"{name}/largest"])
            if not np.isfinite([low, high]).all():
                raise UnsupportedModelError(f"The activation {name!r} is not finite on calibration rows.")
            ranges[name] = (min(ranges[name][0], low), max(ranges[name][1], high))
            histograms[name].add(seen[f"{name}/sampled"])
    return ranges, histograms


def _watching(model: onnx.ModelProto, sizes: dict[str, int]) -> onnx.ModelProto:
    constants = {
        name: numpy_helper.from_array(np.array([value], np.int64), f"onnxyard/{name}")
        for name, value in (("all", -1), ("begin", 0), ("end", np.iinfo(np.int64).max), ("axis", 0))
    }
    flat, bounds = constants["all"].name, [constants[name].name for name in ("begin", "end", "axis")]
    outputs: dict[str, tuple[list[onnx.NodeProto], int]] = {}
    for name, size in sizes.items():
        step = numpy_helper.from_array(
            np.array([_prime_from(size * _FEWEST_ROWS // _SAMPLES)], np.int64), f"{name}/step"
        )
        constants[step.name] = step
        sampling = [
            helper.make_node("Reshape", [name, flat], [f"{name}/flat"]),
            helper.make_node("Slice", [f"{name}/flat", *bounds, step.name], [f"{name}/sampled"]),
        ]
        least = helper.make_node("ReduceMin", [name], [f"{name}/least"], keepdims=0)
        largest = helper.make_node("ReduceMax", [name], [f"{name}/largest"], keepdims=0)
        outputs |= {
            f"{name}/sampled": (sampling, TensorProto.FLOAT),
            f"{name}/least": ([least], TensorProto.FLOAT),
            f"{name}/largest": ([largest], TensorProto.FLOAT),
        }
    return _with_outputs(model, outputs, list(constants.values()))


def _activations(model: onnx.ModelProto) -> list[str]:
    """The main graph's float32 tensors that are not constant."""
    constant = {tensor.name for tensor in model.graph.initializer}
    constant |= {name for node in model.graph.node if node.op_type == "Constant" for name in node.output}
    return sorted(
        name for name, kind in tensor_types(model).items() if kind == TensorProto.FLOAT and name not in constant
    )


def _with_outputs(
    model: onnx.ModelProto,
    outputs: dict[str, tuple[list[onnx.NodeProto], int]],
    constants: list[onnx.TensorProto] | None = None,
) -> onnx.ModelProto:
    """The model with further nodes, whose results are its only outputs."""
    watching = onnx.ModelProto()
    watching.CopyFrom(model)
    del watching.graph.output[:]
    watching.graph.initializer.extend(constants or [])
    for name, (nodes, kind) in outputs.items():
        watching.graph.node.extend(nodes)
        watching.graph.output.append(helper.make_tensor_value_info(name, kind, None))
    return watching


def _prime_from(number: int) -> int:
    """The least prime that is not below `number`, or 1: as a stride it meets every channel of nearly any layout."""
    candidate = max(number, 1)
    while any(candidate % divisor == 0 for divisor in range(2, int(candidate**0.5) + 1)):
        candidate += 1
    return candidate


def _within(wanted: Range, seen: Range) -> Range:
    """A range never reaches beyond what was seen."""
    return max(wanted[0], seen[0]), min(wanted[1], seen[1])
