"""Export outside a project: a bare torch module, or a finished file at another opset. Proven like any export."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from onnxyard.diagnosis.checks import CheckedModel, check_file, measure
from onnxyard.diagnosis.probes import Probe, largest_values
from onnxyard.diagnosis.proving import Proven, empty, prove
from onnxyard.errors import UnsupportedModelError
from onnxyard.lifecycle.digest import canonical_json
from onnxyard.runtimes.graph import Graph, read_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.admission.admitting import Trial, admit
from onnxyard.sources.admission.domains import EXTENSIONS
from onnxyard.sources.admission.opening import Opener, made_up
from onnxyard.sources.finished import ways
from onnxyard.sources.sidecar import SIDECAR_FILE
from onnxyard.sources.source import MODEL_FILE, Asked
from onnxyard.tensors.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    import numpy as np
    import torch


def export_module(
    module: torch.nn.Module,
    example: Mapping[str, np.ndarray | torch.Tensor],
    folder: Path,
    *,
    outputs: Sequence[str] | None = None,
    opset: int | None = None,
    axes: Mapping[str, tuple[int | str, ...]] | None = None,
    translations: Mapping[str, Callable[..., Any]] | None = None,
) -> Proven:
    """Export a torch module and prove that the graph does what the module does.

        export_module(model, {"tokens": torch.zeros(2, 16, dtype=torch.int64)}, Path("model-onnx"), opset=17)

    Args:
        module: Its `forward` takes the example's tensors by name. Exported in eval mode; left as it was.
        example: At least two rows of each input, the batch first. It is also what the graph is compared on.
        folder: Holds `model.onnx`, its data and `sidecar.json` afterwards; what it held before is gone.
        outputs: The outputs' names; by default a dict's or dataclass's own ones, else `output`, or `output_0` and on.
        opset: Exactly this one, 7 to 27; 20 by default.
        axes: Per input: the name of each dynamic axis, or the length of a fixed one; by default the batch is dynamic.
        translations: Onnxscript functions by operator, as `mylib::frobnicate`.

    Raises:
        UnsupportedModelError: no way leads to such a graph; names operator, module, source line and remedy.
        InvalidRequestError: the example is not what the module takes.
        UserCodeError: `forward` raised.
    """
    from onnxyard.sources.torch.module import NamelessModule  # noqa: PLC0415 - the `torch` extra

    with NamelessModule(module, example, outputs) as bare:
        asked = Asked(bare.inputs, bare.outputs, opset, axes or {}, translations or {})
        reference = bare.reference
        proven = prove(bare.ways(asked), folder, asked, reference(asked.inputs), reference=reference)
    write_bytes(folder / SIDECAR_FILE, canonical_json(proven.exported.sidecar))
    return proven


def export_file(model_file: Path, folder: Path, *, opset: int | None = None) -> Proven:
    """A finished file as it is, or at another opset and compared with itself on made-up inputs.

    Another opset comes by ONNX's version converter, or where that has no way and every operator has the same form
    there, by the opset's number alone.

    Args:
        model_file: The ONNX file; opened in a disposable child before it is opened here.
        folder: Holds `model.onnx`, its data and `sidecar.json` afterwards; what it held before is gone.
        opset: The default domain's; None takes what the file has.

    Raises:
        UnsupportedModelError: the file may not be opened, there is no way to the opset, or what came out differs.
        ArtifactCorruptError: the file is not a model.
        NotFoundError: there is no such file.
    """
    admitted = admit(model_file)
    original = read_graph(model_file)
    asking = list(_asking_itself(model_file, original))

    asked = original.opset if opset is None else opset
    first: UnsupportedModelError | None = None
    for way in ways(model_file, admitted.data_files, asked):
        try:
            exported = way.make(empty(folder) / MODEL_FILE)
            checked = _compared(folder / MODEL_FILE, asked, original, asking)
        except UnsupportedModelError as error:
            first = first or error
            continue
        write_bytes(folder / SIDECAR_FILE, canonical_json(exported.sidecar))
        return Proven(exported, checked, ())
    shutil.rmtree(folder)
    assert first is not None  # noqa: S101 - there is at least one way
    raise first


def _compared(copy: Path, opset: int, original: Graph, asking: list[Probe]) -> CheckedModel:
    graph = check_file(copy, opset)
    if graph.signature != original.signature:
        raise UnsupportedModelError(f"The converted graph has another signature: {graph.signature}.")
    checked = measure(copy, graph, asking)
    if not checked.holds:
        raise UnsupportedModelError(
            f"The converted graph differs from the file by {checked.relative_error:.2g} of the largest value of "
            f"{checked.where!r}.",
            remedy="Export from the framework at this opset instead.",
        )
    return checked


def _asking_itself(model_file: Path, graph: Graph) -> Iterator[Probe]:
    """Two lengths of the free axes that the file itself takes, and what it answers; a child answered them before."""
    model = OnnxRuntime.load(model_file, provider="CPUExecutionProvider", threads=1)
    session = Opener(model_file, extensions=EXTENSIONS in graph.opsets).open()
    candidates = list(made_up(session, seed=0))
    taken = admit(model_file, trial=Trial(candidates, "made-up inputs", enough=2)).ran
    for number in taken:
        inputs = candidates[number]
        answer = model.run(inputs)
        yield Probe(
            f"made-up inputs of {len(next(iter(inputs.values()), ()))} rows", inputs, answer, largest_values(answer)
        )
    if not taken:
        raise UnsupportedModelError(
            "The model takes none of the inputs that can be made up, so nothing proves the result.",
            where=str(model_file),
            remedy="Put the file into a project with data: [project] onnx.",
        )
