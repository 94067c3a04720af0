"""From a booster to its ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.detours import ways_to
from onnxyard.sources.lightgbm.reference import RUNTIME, Fitted, is_wide, load, read
from onnxyard.sources.lightgbm.trees import read_trees
from onnxyard.sources.margins import SIGMOID, SOFTMAX, both_sides, linked, most_likely
from onnxyard.sources.saving import save_model
from onnxyard.sources.sidecar import sidecar
from onnxyard.sources.source import Asked, Attempt, Exported
from onnxyard.sources.table_graph import Nodes, TableGraph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import onnx

    from onnxyard.project.project import Project
    from onnxyard.sources.table_model import TableModel

OPSETS = range(9, 28)
"""What the graph holds beside the trees means the same at all of these."""
ML_VERSIONS = {False: 1, True: 3}
"""Of `ai.onnx.ml`, by whether it compares float64."""


def attempts(project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
    """As `Source.attempts`."""
    fitted, reference = read(folder), load(project, folder)

    def export(opset: int) -> Iterator[Attempt]:
        def write(model_file: Path) -> Exported:
            made = _graph(fitted, reference, asked, opset)
            save_model(made, model_file)
            exporter = f"onnxyard trees of {RUNTIME}"
            return Exported(exporter, sidecar(made, {}, {}, exporter=exporter))

        yield Attempt("trees of LightGBM", write)

    yield from ways_to(asked, OPSETS, "trees of LightGBM", export)


def _graph(fitted: Fitted, reference: TableModel, asked: Asked, opset: int) -> onnx.ModelProto:
    like = reference.run(asked.inputs)
    table = reference.table(asked.inputs)
    graph = TableGraph(asked, table, opset)
    tensors = write_answers(graph, fitted, double=is_wide(table))
    return graph.model(dict(zip(asked.outputs, tensors, strict=True)), like, ml=ML_VERSIONS[is_wide(table)])


def write_answers(graph: Nodes, fitted: Fitted, *, double: bool) -> tuple[str, ...]:
    """Add the trees and what follows them; the names of what the model's own API gives.

    Raises:
        UnsupportedModelError: see `read_trees`; or a classifier whose objective gives no probabilities.
    """
    trees = read_trees(fitted.booster, double=double)
    given = linked(graph, trees.forest.write(graph), trees.link, slope=trees.slope)
    if fitted.classes is None:
        return (given,)
    if trees.link not in {SIGMOID, SOFTMAX}:
        raise UnsupportedModelError(
            f"An LGBMClassifier with the objective {trees.objective} gives no probabilities.",
            remedy="Use binary, multiclass or multiclassova, or return its booster_.",
        )
    both = both_sides(graph, given) if trees.forest.targets == 1 else given
    return most_likely(graph, both, fitted.classes), both
