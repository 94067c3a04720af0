"""What the model takes and gives: plain tensors with a free batch axis, or something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import UNSUPPORTED_OUTPUT
from onnxyard.diagnosis.file_codes import FIXED_BATCH, UNNAMED_AXIS, UNSUPPORTED_INPUT
from onnxyard.sources.admission.refusal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from onnxyard.diagnosis.inspection.subject import Subject
    from onnxyard.lifecycle.finding import Finding


def other_than_tensors(subject: Subject) -> Iterator[Finding]:
    """Sequences, maps and optional values at the outside of the graph."""
    makers = {name: node for node in subject.model.graph.node for name in node.output}
    for value in _inputs(subject.model):
        if (kind := value.type.WhichOneof("value")) != "tensor_type":
            yield UNSUPPORTED_INPUT.found(
                f"The input {printable(value.name)!r} is a {_kind(kind)}.", node=printable(value.name)
            )
    for value in subject.model.graph.output:
        kind = value.type.WhichOneof("value")
        if kind == "tensor_type":
            continue
        maker = makers.get(value.name)
        zipped = maker is not None and maker.op_type == "ZipMap"
        yield UNSUPPORTED_OUTPUT.found(
            f"The output {printable(value.name)!r} is a {_kind(kind)}"
            + (": ZipMap packs the probabilities into one map per row." if zipped else "."),
            node=printable(value.name),
            remedy='Convert it with options={"zipmap": False}, or let --fix give the probabilities themselves.'
            if zipped
            else "",
            fix=UNSUPPORTED_OUTPUT.name if zipped else "",
            **subject.origin(value.name),
        )


def fixed_batch(subject: Subject) -> Iterator[Finding]:
    """Inputs whose first axis has one length, or that have no axes."""
    fixed = []
    for value in _inputs(subject.model):
        if value.type.WhichOneof("value") != "tensor_type" or not value.type.tensor_type.HasField("shape"):
            continue
        axes = value.type.tensor_type.shape.dim
        if not axes:
            fixed.append(f"{printable(value.name)!r} has no axes")
        elif axes[0].dim_value > 0:
            fixed.append(f"the first axis of {printable(value.name)!r} is {axes[0].dim_value}")
    if fixed:
        said = ", ".join(fixed[:5])
        yield FIXED_BATCH.found(f"{said[0].upper()}{said[1:]}.")


def unnamed_axes(subject: Subject) -> Iterator[Finding]:
    """Inputs with a free axis without a name, or of unknown rank."""
    unnamed = []
    for value in _inputs(subject.model):
        if value.type.WhichOneof("value") != "tensor_type":
            continue
        if not value.type.tensor_type.HasField("shape"):
            unnamed.append(f"{printable(value.name)!r} (any number of axes)")
            continue
        axes = enumerate(value.type.tensor_type.shape.dim)
        free = [str(at) for at, axis in axes if axis.dim_value <= 0 and not axis.dim_param]
        if free:
            unnamed.append(f"{printable(value.name)!r} (axis {', '.join(free)})")
    if unnamed:
        yield UNNAMED_AXIS.found(f"Free axes without a name: {', '.join(unnamed[:5])}.")


def _inputs(model: onnx.ModelProto) -> Iterator[onnx.ValueInfoProto]:
    """Inputs that are no initializers (files of IR version 3 list these among them)."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return (value for value in model.graph.input if value.name not in constants)


def _kind(kind: str | None) -> str:
    return (kind or "value of unknown type").removesuffix("_type").replace("_", " ")
