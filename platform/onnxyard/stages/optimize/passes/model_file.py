"""Model files as passes read and write them: weights beside the model are followed, and every result stands alone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import onnx

from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.admission.external import data_files
from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize.passes.fingerprint import fingerprint
from onnxyard.stages.optimize.passes.silence import silence
from onnxyard.stages.optimize.passes.transformation import Transformed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MODEL = "model.onnx"
COUNTED = ("nodes", "weights")
"""The topics of `becoming`."""


def rewritten(
    source: Path,
    folder: Path,
    rewrite: Callable[[onnx.ModelProto], tuple[onnx.ModelProto, Mapping[str, str]] | None],
) -> Transformed:
    """Rewrite a graph in memory; where it is the same graph afterwards, the source's very bytes are taken instead.

    Args:
        source: The model that the pass was given.
        folder: The pass's own.
        rewrite: From the model, its weights in memory, to what it becomes, and what was done; None where nothing
            was. It may change the model in place. It runs in silence.
    """
    model = onnx.load(source)
    before, had = fingerprint(model), counts(model)
    with silence():
        done = rewrite(model)
    if done is None or fingerprint(done[0]) == before:
        return unchanged(source, folder)
    after, facts = done
    facts = {**becoming(had, counts(after)), **facts}
    save_model(after, folder / MODEL)
    return Transformed(folder / MODEL, changed=True, facts=facts)


def unchanged(source: Path, folder: Path) -> Transformed:
    """The source as it is, the files of its weights included."""
    for location in data_files(onnx.load(source, load_external_data=False)):
        copy = folder / location
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.parent / location, copy)
    shutil.copyfile(source, folder / MODEL)
    return Transformed(folder / MODEL, changed=False)


def becoming(before: tuple[int, int], after: tuple[int, int]) -> dict[str, str]:
    """Two `counts` in words, where they differ, as `{"nodes": "34 became 28"}`."""
    pairs = zip(COUNTED, before, after, strict=True)
    return {name: f"{had} became {has}" for name, had, has in pairs if had != has}


def counts(model: onnx.ModelProto) -> tuple[int, int]:
    """Nodes, those in nodes' graphs included, and weights of the main graph."""
    return sum(1 for _ in all_nodes(model.graph)), len(model.graph.initializer)
