"""ONNX to NNEF, by Khronos' converter, and proof that the archive means the same."""

from __future__ import annotations

import gzip
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import onnx
from onnx import numpy_helper

from onnxyard.errors import UnsupportedModelError
from onnxyard.parity.error import compare
from onnxyard.runtimes.compiled_form import CompiledForm
from onnxyard.runtimes.graph import describe_graph
from onnxyard.runtimes.nnef import PROVIDER, SUFFIX, Nnef, version
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize.passes.extra import of_extra
from onnxyard.stages.optimize.passes.ort_level import OrtLevel
from onnxyard.stages.optimize.passes.silence import silence
from onnxyard.stages.optimize.passes.transformation import Transformed

if TYPE_CHECKING:
    from onnxyard.lifecycle.signature import Signature
    from onnxyard.stages.optimize.passes.transformation import Materials

_DTYPES = frozenset({"FLOAT", "INT32", "INT64", "BOOL"})
"""The interpreter computes in float32, int64 and bool."""
_REDUCTIONS = frozenset({"ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin"})
"""Their axes became an input with opset 18; the converter asks for the attribute that they were before."""
_WORDS = frozenset(
    {"version", "extension", "graph", "fragment", "tensor", "integer", "scalar", "logical", "string", "true", "false"}
    | {"for", "in", "if", "else", "yield", "lengthof", "shape_of", "range_of"}
)
"""NNEF's own (its specification 1.0, chapter 2)."""
_ROWS = 4
_TOLERANCE = 1e-4
"""Of the interpreter's answers, relative to the largest: both compute in float32."""


@dataclass(frozen=True, slots=True)
class NnefConvert:
    """Write the model as an NNEF 1.0 archive (https://registry.khronos.org/NNEF).

    Shapes are fixed in NNEF. A batch that is free is fixed to one row, and the runtime calls once for each; any other
    free axis is refused. Shapes that the graph computes are computed beforehand, by ONNX Runtime's basic optimizer.
    """

    packages: ClassVar[tuple[str, ...]] = ("nnef", "nnef-tools", "onnx", "onnxruntime", "torch")
    calibrates: ClassVar[bool] = True

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        """See `Pass`; gives `model.nnef.tgz`, and `signature.json` beside it.

        Raises:
            UnsupportedModelError: NNEF or its converter has no such operator or shape, naming it; or the interpreter
                gives other answers than ONNX Runtime.
            MissingExtraError: NNEF's tools are not installed.
        """
        model = onnx.load(source)
        graph = describe_graph(model, where=str(source))
        rows = _fixed_rows(graph.signature)
        made = folder / f"model.nnef{SUFFIX}"
        with TemporaryDirectory() as scratch:
            static, plain, tree = (Path(scratch, name) for name in ("static", "plain", "tree"))
            for place in (static, plain):
                place.mkdir()
            _fix_batch(model)
            save_model(model, static / "model.onnx")
            ready = onnx.load(OrtLevel("basic")(static / "model.onnx", plain, materials).file)
            _axes_as_attributes(ready)
            ready.graph.name = "model"  # a graph's name goes into the text, and `graph` itself is a keyword there
            save_model(ready, plain / "ready.onnx")
            named = all(map(_is_name, (value.name for value in (*ready.graph.input, *ready.graph.output))))
            operations = _convert(plain / "ready.onnx", tree, keep_names=named)
            _archive(tree, made)
        form = CompiledForm.of_graph(graph, made, tool=f"nnef {version()}", nodes=operations, rows=rows)
        form.write(made)
        error = _error(source, made, materials)
        batch = "one row a call, for any batch" if rows else "the batch of the graph"
        facts = {
            "converted": f"{operations} operations of NNEF 1.0",
            "shapes": batch,
            "largest difference": f"{error:.1e}",
        }
        return Transformed(made, changed=True, facts=facts)


def _fixed_rows(signature: Signature) -> int | None:
    """1 where the batch is free, None where every axis is fixed."""
    tensors = (*signature.inputs, *signature.outputs)
    for spec in tensors:
        if spec.dtype not in _DTYPES:
            raise UnsupportedModelError(f"NNEF's interpreter has no {spec.dtype}, as {spec.name!r} is.")
        for axis in spec.shape[1:]:
            if isinstance(axis, str):
                raise UnsupportedModelError(
                    f"Shapes are fixed in NNEF, and {spec.name!r} has the free axis {axis!r}.",
                    remedy="Export the model with that axis fixed.",
                )
    free = [bool(spec.shape) and isinstance(spec.shape[0], str) for spec in tensors]
    if not any(free):
        return None
    if not all(free) or len({spec.shape[0] for spec in signature.inputs}) > 1:
        raise UnsupportedModelError(
            "Shapes are fixed in NNEF, and the inputs and outputs have no one free batch to take row by row.",
            remedy="Export the model with every shape fixed.",
        )
    return 1


def _fix_batch(model: onnx.ModelProto) -> None:
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        axes = value.type.tensor_type.shape.dim
        if value.name not in constants and axes and not axes[0].HasField("dim_value"):
            axes[0].dim_value = 1
    del model.graph.value_info[:]  # what they say of the batch is no longer so


def _axes_as_attributes(model: onnx.ModelProto) -> None:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in _REDUCTIONS and len(node.input) > 1 and node.input[1] in constants:
            axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
            node.attribute.append(onnx.helper.make_attribute("axes", axes))
            del node.input[1:]


def _is_name(text: str) -> bool:
    """Whether it may stand in an NNEF graph; with others in it, all inputs and outputs are renamed."""
    return text.isascii() and text.isidentifier() and text not in _WORDS


def _convert(model_file: Path, tree: Path, *, keep_names: bool) -> int:
    """Write the NNEF model's folder; how many operations it has."""
    with of_extra("nnef"):
        from nnef_tools.conversion import ConversionError  # noqa: PLC0415 - the `nnef` extra
        from nnef_tools.conversion.onnx_to_nnef import Converter  # noqa: PLC0415
        from nnef_tools.io.nnef import Writer  # noqa: PLC0415
        from nnef_tools.io.onnx import Reader  # noqa: PLC0415
        from nnef_tools.optimization.onnx_optimizer import Optimizer  # noqa: PLC0415
    converter = Converter(keep_io_names=keep_names)
    try:
        with silence():
            read = Optimizer()(Reader()(str(model_file)), only_required=True)
            read.sort()
            graph: Any = converter(read)
            fragments, dependencies = converter.defined_operations(), converter.defined_operation_dependencies()
            Writer(fragments=fragments, fragment_dependencies=dependencies)(graph, str(tree))
    except ConversionError as error:
        raise UnsupportedModelError(
            f"NNEF cannot take the model: {_telling(str(error))}.",
            remedy="Use operators that NNEF has, as an export at opset 13 does, or leave the recipe 'nnef' out.",
        ) from error
    except Exception as error:  # Python code without checks of its own: anything may come out
        raise UnsupportedModelError(f"NNEF's converter failed: {type(error).__name__}: {error}") from error
    return sum(operation.type not in {"external", "variable", "constant"} for operation in graph.operations)


def _telling(said: str) -> str:
    """The converter begins with a count and has a line for each node; lines alike are said once."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    named = list(dict.fromkeys(line for line in lines if "operator '" in line))
    return "; ".join(named[:3] or lines[:1])[:300].rstrip(".")


def _archive(tree: Path, made: Path) -> None:
    """As NNEF 1.0 has it; the same model gives the same bytes."""
    with (
        made.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                entry = tarfile.TarInfo(path.relative_to(tree).as_posix())
                entry.size = path.stat().st_size
                with path.open("rb") as content:
                    archive.addfile(entry, content)


def _error(source: Path, made: Path, materials: Materials) -> float:
    """How far the interpreter is off ONNX Runtime on rows of the calibration split, relative to the largest value."""
    batch = next(materials.calibration(), None)
    if batch is None:
        raise UnsupportedModelError("There are no calibration rows to compare the converted model on.")
    truth = OnnxRuntime().load(source, provider="CPUExecutionProvider", threads=1)
    ours = Nnef().load(made, provider=PROVIDER, threads=1)
    fixed = next((spec.shape[0] for spec in truth.signature.inputs if spec.shape), "")
    inputs = {name: values[: fixed if isinstance(fixed, int) else _ROWS] for name, values in batch.items()}
    wanted, got = truth.run(inputs), ours.run(inputs)
    largest = max((float(np.max(np.abs(values), initial=0.0)) for values in wanted.values()), default=0.0)
    error = compare(wanted, got).max_abs / max(1.0, largest)
    if not error <= _TOLERANCE:
        raise UnsupportedModelError(
            f"The converted model's answers differ from ONNX Runtime's by {error:.2g}; {_TOLERANCE:g} is allowed.",
            remedy="Leave the recipe 'nnef' out: NNEF means something else by one of these operators.",
        )
    return error
