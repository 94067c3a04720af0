"""The text template: strings in, a queue's name out, the tokenizer in the graph."""

import numpy as np
import onnx
import pytest

from live import live
from onnxyard.runtimes.graph import describe_graph

pytestmark = pytest.mark.slow


def unquantized(root):
    """An int8 candidate may put a ticket between two queues into the other one: here every answer is compared."""
    file = root / "onnxyard.toml"
    file.write_text(file.read_text().replace('["fp32", "int8-dynamic"]', '["fp32"]'))


def test_texts_go_in_and_names_come_out_as_the_framework_says(tmp_path):
    with live("text", tmp_path, edit=unquantized) as endpoint:
        raw = endpoint.rows(24)
        answer = endpoint.ask(raw)
        expected = endpoint.by_framework(raw)
        assert list(map(str, answer["queue"])) == list(expected["queue"])
        np.testing.assert_allclose(answer["probabilities"], expected["probabilities"], atol=1e-5)
        longest = {"text": np.array(["return " * 400, ""], dtype=object)}
        assert list(map(str, endpoint.ask(longest)["queue"])) == list(endpoint.by_framework(longest)["queue"])
        model = onnx.load(next((endpoint.root / ".onnxyard").rglob("replicas/**/model.onnx")))
        assert "ai.onnx.contrib::BertTokenizer" in describe_graph(model).operators
