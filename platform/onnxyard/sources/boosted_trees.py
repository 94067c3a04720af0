"""The graph of a booster whose trees are written here: XGBoost's and LightGBM's ways to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.sources.detours import ways_to
from onnxyard.sources.saving import save_model
from onnxyard.sources.sidecar import sidecar
from onnxyard.sources.source import Asked, Attempt, Exported
from onnxyard.sources.table import Table
from onnxyard.sources.table_graph import Nodes, TableGraph
from onnxyard.sources.table_model import TableModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPSETS = range(9, 28)
"""What the graph holds beside the trees means the same at all of these."""
_WRITER = "Onnxyard's writer of trees"


@dataclass(frozen=True)
class BoostedTrees:
    """A fitted booster, ready to be written.

    Attributes:
        runtime: As `xgboost 3.2.0`.
        reference: Its own answers.
        write: Adds the trees and what follows them; gives the names of the answers, in order.
        ml: The version of `ai.onnx.ml` that this takes, for a table.
    """

    runtime: str
    reference: TableModel
    write: Callable[[Nodes, Table], tuple[str, ...]]
    ml: Callable[[Table], int]

    def attempts(self, asked: Asked) -> Iterator[Attempt]:
        """As `Source.attempts`."""

        def export(opset: int) -> Iterator[Attempt]:
            yield Attempt(_WRITER, lambda model_file: self._export(asked, opset, model_file))

        yield from ways_to(asked, OPSETS, _WRITER, export)

    def _export(self, asked: Asked, opset: int, model_file: Path) -> Exported:
        like = self.reference.run(asked.inputs)
        table = self.reference.table(asked.inputs)
        graph = TableGraph(asked, table, opset)
        answers = dict(zip(asked.outputs, self.write(graph, table), strict=True))
        made = graph.model(answers, like, ml=self.ml(table))
        save_model(made, model_file)
        exporter = f"onnxyard trees of {self.runtime}"
        return Exported(exporter, sidecar(made, {}, {}, exporter=exporter))
