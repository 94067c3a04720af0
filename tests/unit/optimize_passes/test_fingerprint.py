"""Whether two graphs are the same: names, order and spelling do not count, everything else does."""

import numpy as np
import onnx
import pytest
from onnx import compose, helper, numpy_helper

from onnxyard.stages.optimize.passes.fingerprint import fingerprint
from optimizable import SAMPLES, built

MODELS = {sample.name: sample.model for sample in SAMPLES}
TEXT = """
plain (float[batch,4] x) => (float[batch,4] y) {
  a = Relu (x)
  b = Neg (x)
  c = Add (a, w)
  d = LeakyRelu (b)
  y = Mul (c, d)
}
"""


def plain(text=TEXT, weights=None):
    return built(text, {"w": np.arange(4, dtype=np.float32)} | (weights or {}))


@pytest.mark.parametrize("name", MODELS)
def test_the_same_model_gives_the_same_digest(name):
    assert fingerprint(MODELS[name]()) == fingerprint(MODELS[name]())


def test_models_differ():
    distinct = {name: fingerprint(model()) for name, model in MODELS.items() if name != "cnn-external"}
    assert len(set(distinct.values())) == len(distinct)


@pytest.mark.parametrize("name", ["cnn", "encoder", "wasteful"])
def test_inner_names_do_not_count(name):
    renamed = compose.add_prefix(MODELS[name](), "other_", rename_inputs=False, rename_outputs=False)
    assert fingerprint(renamed) == fingerprint(MODELS[name]())


def test_neither_do_order_default_attributes_or_the_form_of_constants():
    lines = TEXT.strip().splitlines()
    turned = [lines[0], *(lines[at] for at in (2, 4, 1, 3, 5)), lines[6]]
    assert fingerprint(plain("\n".join(turned))) == fingerprint(plain())
    assert fingerprint(plain(TEXT.replace("LeakyRelu (", "LeakyRelu <alpha=0.01> ("))) == fingerprint(plain())
    inline = plain()
    array = numpy_helper.to_array(inline.graph.initializer.pop())
    inline.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(array)))
    assert fingerprint(inline) == fingerprint(plain())
    typed = plain()
    typed.graph.initializer[0].CopyFrom(helper.make_tensor("w", onnx.TensorProto.FLOAT, [4], [0.0, 1.0, 2.0, 3.0]))
    assert fingerprint(typed) == fingerprint(plain())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Neg (x)", "Abs (x)"),
        ("LeakyRelu (b)", "LeakyRelu <alpha=0.2> (b)"),
        ("Add (a, w)", "Add (w, a)"),
        ("Add (a, w)", "Add (b, w)"),
        ("  y = Mul", "  e = Relu (a)\n  y = Mul"),
        ("(float[batch,4] y)", "(float[batch,4] y, float[batch,4] a)"),
    ],
    ids=["operator", "attribute", "order of inputs", "wiring", "dead node", "output"],
)
def test_everything_else_counts(old, new):
    assert old in TEXT
    assert fingerprint(plain(TEXT.replace(old, new))) != fingerprint(plain())


def test_weights_count_even_unread_ones():
    assert fingerprint(plain(weights={"w": np.arange(1, 5, dtype=np.float32)})) != fingerprint(plain())
    assert fingerprint(plain(weights={"more": np.zeros(3, np.float32)})) != fingerprint(plain())


def test_inner_graphs_count():
    model = MODELS["subgraphs"]()
    branch = next(node for node in model.graph.node if node.op_type == "If").attribute[0].g
    branch.node[0].op_type = "Sub"
    assert fingerprint(model) != fingerprint(MODELS["subgraphs"]())
