"""One graph from three parts, and back into its parts."""

import numpy as np
import onnx
import pytest
from onnx import parser

from onnxyard.errors import InvalidRequestError
from onnxyard.processing.composing import back, framed, front, is_step, parts_of
from onnxyard.runtimes.graph import describe_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from pieces import specs, step

CORE = """
<ir_version: 10, opset_import: ["" : 20]>
core (float[batch,3] x) => (float[batch,3] y)
<float[3] weight = {1.0, 2.0, 3.0}>
{
   inside = Mul(x, weight)
   [last] y = Add(inside, x)
}
"""
RAW = {"x": np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int32)}


def core(text=CORE):
    return parser.parse_model(text)


def before(opset=20, raw=RAW, **parameters):
    named = {"input": "x", "scale": 10.0} | parameters
    return front([step("normalize", **named)], specs(raw), opset=opset, root=None).model


def behind():
    outputs = {"y": np.zeros((2, 3), np.float32)}
    steps = [step("softmax", input="y", output="p", keep=True), step("argmax", input="p")]
    return back(steps, specs(outputs), {}, opset=20, root=None)


def answers(model, raw):
    onnx.checker.check_model(model, full_check=True)
    return OnnxRuntime.load_bytes(model.SerializeToString()).run(raw)


def test_a_model_between_steps_answers_as_the_three_in_a_row():
    whole = framed(core(), before(), behind())
    got = answers(whole, RAW)
    want = RAW["x"] * 10.0 * (np.array([1.0, 2.0, 3.0]) + 1)
    np.testing.assert_allclose(got["y"], want, rtol=1e-6)
    assert got["p"].tolist() == [2, 2]
    assert [value.name for value in whole.graph.input] == ["x"]
    assert describe_graph(whole).opset == 20


@pytest.mark.parametrize("sides", [(True, False), (False, True), (True, True)])
def test_it_comes_apart_into_what_it_was_made_of(sides):
    whole = framed(core(), before() if sides[0] else None, behind() if sides[1] else None)
    raw = RAW if sides[0] else {"x": RAW["x"].astype(np.float32)}
    parts = parts_of(whole)
    assert (parts.before is not None, parts.behind is not None) == sides
    assert [node.op_type for node in parts.core.graph.node] == ["Mul", "Add"]
    assert [tensor.name for tensor in parts.core.graph.initializer] == ["weight"]
    assert not any(is_step(node.name) for node in parts.core.graph.node)
    again = answers(parts.with_core(parts.core), raw)
    assert all(np.array_equal(values, again[name]) for name, values in answers(whole, raw).items())


def test_a_model_without_steps_has_no_parts():
    assert parts_of(core()) is None


def test_a_raw_input_called_as_a_tensor_inside_is_refused():
    raw = {"inside": RAW["x"]}
    with pytest.raises(InvalidRequestError, match="'inside' stands for a raw input and for a tensor inside"):
        framed(core(), before(raw=raw, input="inside", output="x"), None)


def test_an_input_that_no_step_gives_is_named():
    with pytest.raises(InvalidRequestError, match="Nothing gives 'preprocess/x'; there is preprocess/z"):
        framed(core(), before(output="z"), None)
