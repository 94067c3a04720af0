"""What is written beside a model that is no ONNX file any more: all that ONNX would have said of it.

FOLDER/model.vmfb        what the runtime reads
FOLDER/signature.json    a `CompiledForm`
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError
from onnxyard.lifecycle.digest import canonical_json
from onnxyard.lifecycle.signature import Signature
from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.processor import Processor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onnxyard.runtimes.graph import Graph

COMPANION = "signature.json"


@dataclass(frozen=True, slots=True)
class CompiledForm:
    """What a compiled model was made from, with what, and for where.

    Attributes:
        tool: As `iree 3.13.0`: what made it.
        signature: Names, dtypes and shapes as in the ONNX graph.
        opset: The ONNX graph's.
        ir_version: The ONNX graph's.
        precision: The ONNX graph's, as `fp32`.
        nodes: Nodes that were compiled, or operations that they became.
        size_bytes: Of the entry file: one that was cut short is told before it is opened.
        rows: Rows of one call of the compiled graph where its batch is fixed; None where any batch will do.
        ranges: Inputs that the graph uses as indices as they are: by name, the least and the largest value allowed.
        processor: The processor that its code is for; None where it holds no code.
    """

    tool: str
    signature: Signature
    opset: int
    ir_version: int
    precision: str
    nodes: int
    size_bytes: int
    rows: int | None = None
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    processor: Processor | None = None

    @classmethod
    def of_graph(
        cls,
        graph: Graph,
        model_file: Path,
        *,
        tool: str,
        nodes: int,
        rows: int | None = None,
        ranges: Mapping[str, tuple[int, int]] | None = None,
        processor: Processor | None = None,
    ) -> Self:
        """The form of `model_file`, compiled from an ONNX graph."""
        size = model_file.stat().st_size
        return cls(
            tool,
            graph.signature,
            graph.opset,
            graph.ir_version,
            graph.precision,
            nodes,
            size,
            rows,
            dict(ranges or {}),
            processor,
        )

    def write(self, model_file: Path) -> None:
        """Write it beside the entry file."""
        document = {
            "tool": self.tool,
            "signature": self.signature.document(),
            "opset": self.opset,
            "ir_version": self.ir_version,
            "precision": self.precision,
            "nodes": self.nodes,
            "size_bytes": self.size_bytes,
            "rows": self.rows,
            "ranges": {name: list(bounds) for name, bounds in self.ranges.items()},
            "processor": self.processor.document() if self.processor else None,
        }
        model_file.with_name(COMPANION).write_bytes(canonical_json(document))

    @classmethod
    def read(cls, model_file: Path) -> Self:
        """The form of an entry file.

        Raises:
            ArtifactCorruptError: the entry file is missing or of another size, or no form lies beside it.
        """
        companion = model_file.with_name(COMPANION)
        try:
            form = cls._of_document(json.loads(companion.read_bytes()))
            size = model_file.stat().st_size
        except OSError as error:
            raise ArtifactCorruptError(
                f"A part of the compiled model is missing: {error.strerror}.", where=str(error.filename)
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactCorruptError(
                f"This does not describe a compiled model: {error}", where=str(companion)
            ) from error
        if size != form.size_bytes:
            raise ArtifactCorruptError(
                f"The file has {size} bytes instead of {form.size_bytes}.", where=str(model_file)
            )
        return form

    @classmethod
    def _of_document(cls, document: Any) -> Self:  # noqa: ANN401 - whatever the file holds
        given = dict(document)
        processor = given.pop("processor")
        return cls(
            signature=Signature.of_document(given.pop("signature")),
            ranges={name: (int(low), int(high)) for name, (low, high) in given.pop("ranges").items()},
            processor=None if processor is None else Processor.of_document(processor),
            **given,
        )

    def check_ranges(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Raise InvalidRequestError where a value would be an index outside of its table."""
        for name, (least, largest) in self.ranges.items():
            values = inputs[name]
            if values.size and not (least <= int(values.min()) and int(values.max()) <= largest):
                raise InvalidRequestError(
                    f"The input {name!r} holds {_outside(values, least, largest)}; "
                    f"the model takes values from {least} to {largest}."
                )


def precision_of(model_file: Path) -> str:
    """The precision of a model's graph, whatever form it has now. Raises as `read_graph` and `CompiledForm.read`."""
    return (read_graph(model_file) if model_file.suffix == ".onnx" else CompiledForm.read(model_file)).precision


def _outside(values: np.ndarray, least: int, largest: int) -> int:
    return int(values[np.logical_or(values < least, values > largest)].flat[0])
