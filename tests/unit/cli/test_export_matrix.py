"""The matrix of `onnxyard export --opsets`, as people see it."""

import pytest
from rich.console import Console

from onnxyard.cli.export_matrix import Row, as_table, notes_table
from onnxyard.cli.export_work import Written
from onnxyard.lifecycle.signature import Signature
from onnxyard.runtimes.graph import Graph


def printed(table, width):
    console = Console(width=width, soft_wrap=True)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def row(opset, notes="", exporter="torch.onnx dynamo 2.13.0"):
    graph = Graph(Signature((), ()), opset, 8, 57, {}, "fp32", {"": opset})
    return Row(opset, Written(graph, exporter, 1e-7, ()), notes)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_numbers_are_whole_at_every_width(width):
    long = "skl2onnx 1.20.0, numbers as they are, onnx version converter 1.23.2"
    said = printed(as_table([row(17, exporter=long)]), width)
    for text in ("opset", "exporter", "loads", "max error", "nodes", "ONNX Runtime"):
        assert text in said[0]
    assert all(text in said[1] for text in ("17", "yes", "1.0e-07", "57", "1.12+"))


def test_a_note_stands_once_and_whole_behind_its_opsets():
    why = "No way leads there: " + "because of this and that, " * 6
    rows = [row(11, "traced"), row(12, "traced"), row(13), Row(14, None, why), row(15, "traced")]
    said = printed(notes_table(rows), 60)
    assert said[0] == "11..12, 15  traced"
    assert said[1].startswith("14")
    assert " ".join(" ".join(said[1:]).split()) == f"14 {why}".strip()
