"""Blame: the first place where a graph does something else than its source.

The method
----------
1. *Pair.* Every tensor of the graph is paired with the value of the source that it holds: by identity (the sidecar
   says which fx node's value a tensor of an export holds), by name between two states of one graph, else by module
   boundaries or by value (`pairing`, `by_value`).
2. *Run both sides whole.* The outputs are compared on all rows, what is inside on the four worst rows and the first
   four (`rows`). The source's values come from interpreting its fx graph (or from forward hooks where it
   cannot be traced), the graph's from a copy of it that gives every tensor as an output, with ONNX Runtime's
   optimizations off. The error of a tensor here is what has come together up to it.
3. *Feed the source's own inputs.* Every paired tensor is cut: its readers get the source's value instead, so that each
   operator is judged by itself. What is wrong then is made at this place; the rest of its error came from before. This
   is the local (one-step, teacher-forced) error, as against the global error of numerical analysis (Hairer, Norsett,
   Wanner, Solving Ordinary Differential Equations I, II.3; Williams and Zipser 1989 for teacher forcing).
4. *Know the noise.* A local error counts when rounding does not explain it: a bound by element type, growing with the
   root of the number of nodes in between, or 32 times the operator's own rounding, measured in the framework by
   computing the same operator on the same inputs in float64 (Higham, Accuracy and Stability of Numerical Algorithms,
   2002, ch. 2 and 3: sums in another order have errors of the same size).
5. *Try it.* The suspects' effect on the outputs is a counterfactual: the source's tensor is put into one place and the
   rest runs on (activation patching: Vig et al. 2020; Meng et al. 2022). What is left with all suspects replaced is
   the graph's own noise. Accused is who, being the only one left to err, lifts the final error above that noise; the
   first accused in topological order is named. Shares need not add up to one: errors meet, cancel and saturate.

Nothing here needs torch unless the source is a torch module, and no project: the doctor calls `blame` too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.blame.reference import Reference, TorchSource
from onnxyard.diagnosis.blame.report import Accused, Blame, Spot, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    import onnx

    from onnxyard.ports.runtime import LoadedModel

__all__ = ["Accused", "Blame", "Reference", "Spot", "TorchSource", "Verdict", "blame"]


def blame(
    source: TorchSource | Reference | LoadedModel | onnx.ModelProto | Path,
    model: onnx.ModelProto | Path,
    inputs: Mapping[str, np.ndarray],
    *,
    sidecar: Mapping[str, object] | None = None,
    name: str = "",
    progress: Callable[[str], None] = lambda _: None,
) -> Blame:
    """Name the first place where `model` does something else than `source`.

    Args:
        source: What is right: `TorchSource(module)`; another graph; a `Reference` that is open already, where several
            graphs are compared with it; or a loaded model, of which the outputs alone can be seen.
        model: The graph in question, trusted (a file's external data is read from beside it).
        inputs: Arrays by name, with the batch first; at least two rows for a torch module. Both sides take all of them.
        sidecar: The graph's sidecar; torch's notes in the graph do as well.
        name: What to call the graph; its file's name by default.
        progress: Told what is being done, a few words each time.

    Returns:
        The verdict with the place, its errors and its share; `Blame.document()` is the same as JSON.

    Raises:
        InvalidRequestError: the graph takes other inputs than there are, or the sides give other numbers of outputs.
        UnsupportedModelError: the graph cannot be loaded.
        UserCodeError: the module's `forward` fails, or gives other outputs.
    """
    from onnxyard.diagnosis.blame.asking import ask  # noqa: PLC0415 - loads ONNX Runtime, which the package's types need not

    return ask(source, model, inputs, sidecar=sidecar, name=name, progress=progress)
