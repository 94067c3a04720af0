"""Opening both sides, whatever they are, for the search."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from onnxyard.diagnosis.blame.file_reference import OnnxFile
from onnxyard.diagnosis.blame.probe import check_inputs, probing
from onnxyard.diagnosis.blame.reference import Closed, Reference, TorchSource
from onnxyard.diagnosis.blame.search import search
from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.sources.sidecar import sidecar as sidecar_of
from onnxyard.sources.sidecar import trace_origins
from onnxyard.sources.torch.tree import SourceTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np

    from onnxyard.diagnosis.blame.probe import Probe
    from onnxyard.diagnosis.blame.report import Blame
    from onnxyard.ports.runtime import LoadedModel

    Source = TorchSource | Reference | LoadedModel | onnx.ModelProto | Path


def ask(
    source: Source,
    model: onnx.ModelProto | Path,
    inputs: Mapping[str, np.ndarray],
    *,
    sidecar: Mapping[str, object] | None,
    name: str,
    progress: Callable[[str], None],
) -> Blame:
    """As `onnxyard.diagnosis.blame.blame`."""
    with probing(model) as probe:
        check_inputs(probe, inputs)
        with _open(source, probe, inputs, progress) as reference:
            if len(reference.outputs) != len(probe.outputs):
                raise InvalidRequestError(
                    f"The source gives {len(reference.outputs)} outputs, the graph {len(probe.outputs)}.",
                    remedy="Both sides must give the same outputs.",
                )
            return search(
                reference,
                probe,
                inputs,
                model=name or (model.name if isinstance(model, Path) else "the graph"),
                sidecar=sidecar or _noted(probe.model, reference.fresh),
                progress=progress,
            )


@contextmanager
def _open(
    source: Source, probe: Probe, inputs: Mapping[str, np.ndarray], progress: Callable[[str], None]
) -> Iterator[Reference]:
    if isinstance(source, TorchSource):
        progress("tracing the module")
        yield _torch(source, probe, inputs)
    elif isinstance(source, (Path, onnx.ModelProto)):
        with probing(source) as other:
            check_inputs(other, inputs)
            yield OnnxFile(other, source.name if isinstance(source, Path) else "the source graph")
    elif isinstance(source, Reference):
        yield source
    else:
        yield Closed(source, probe.outputs)


def _torch(source: TorchSource, probe: Probe, inputs: Mapping[str, np.ndarray]) -> Reference:
    from onnxyard.diagnosis.blame.hooked import Hooked  # noqa: PLC0415 - the `torch` extra
    from onnxyard.diagnosis.blame.traced import Traced  # noqa: PLC0415 - as above

    opset = next((entry.version for entry in probe.model.opset_import if entry.domain in {"", "ai.onnx"}), 20)
    outputs = source.outputs or probe.outputs
    try:
        return Traced(source, inputs, outputs, opset=opset)
    except UnsupportedModelError:
        return Hooked(source, inputs, outputs)


def _noted(*graphs: onnx.ModelProto | None) -> dict[str, object]:
    """A sidecar made of the notes that torch's exporter leaves: of the graph itself, else of a fresh export.

    The fresh one's is good for a graph that lost its notes and is still the same; whether it is, pairing checks.
    """
    for graph in graphs:
        if graph is not None and (origins := trace_origins(graph, SourceTree(()))):
            return sidecar_of(graph, origins, {}, exporter="")
    return {}
