"""Every silent trap, planted in a small module: named with its module and line, and its clean twin is left alone."""

from __future__ import annotations

import numpy as np
import planted
import pytest
from onnx import TensorProto, helper, numpy_helper
from planted import Nest
from torch import nn
from tracing import findings, findings_of_export, grave, line, spots

TIME = {"x": ("batch", "time", 3)}
RANDOM = np.random.default_rng(5)


def floats(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


ROWS = {"x": floats(6, 4)}
SEQUENCE = {"x": np.abs(floats(4, 6, 3))}
"""Positive, so that the example goes one way and its negative the other."""
IMAGE = {"x": floats(3, 2, 8, 8)}


@pytest.mark.parametrize(
    ("module", "example", "axes", "code"),
    [
        (planted.Count(), ROWS, {}, "baked-axis"),
        (planted.Positions(), ROWS, {"x": ("batch", "wide")}, "baked-axis"),
        (planted.Branch(), SEQUENCE, {}, "frozen-branch"),
        (planted.Loop(), SEQUENCE, TIME, "frozen-branch"),
        (planted.Long(), SEQUENCE, TIME, "frozen-branch"),
        (planted.Scale(), ROWS, {}, "folded-constant"),
    ],
    ids=["length", "numpy", "branch", "loop", "shape branch", "number"],
)
def test_what_python_froze_is_named_with_its_line(tmp_path, module, example, axes, code):
    found = findings(tmp_path, Nest(module), example, axes=axes)
    assert grave(found) == [code]
    assert spots(found, code) == [("inner", line(type(module).__name__))]


@pytest.mark.parametrize(
    ("module", "example", "axes"),
    [
        (planted.CountFreely(), ROWS, {}),
        (planted.Where(), SEQUENCE, {}),
        (planted.Recurrent(), SEQUENCE, TIME),
        (planted.ScaleFreely(), ROWS, {}),
    ],
    ids=["length", "branch", "loop", "number"],
)
def test_what_stays_free_is_not_accused(tmp_path, module, example, axes):
    assert grave(findings(tmp_path, Nest(module), example, axes=axes)) == []


def test_an_axis_that_a_reshape_fixes_is_named_by_the_node_that_fails(tmp_path):
    def fix(model):
        shapes = [node for node in model.graph.node if node.op_type == "Shape"]
        assert shapes  # the reshape reads its length from the input
        for node in shapes:
            constant = numpy_helper.from_array(np.array([6, 4]))
            node.ClearField("input")
            node.op_type = "Constant"
            node.attribute.append(helper.make_attribute("value", constant))

    module = Nest(nn.Sequential(nn.Linear(4, 4), planted.Regroup()))
    found = findings(tmp_path, module, ROWS, change=fix)
    assert set(grave(found)) == {"baked-axis"}
    assert spots(found, "baked-axis")[0] == ("inner.1", line("Regroup"))
    assert grave(findings(tmp_path, module, ROWS)) == []


def test_an_opset_that_was_not_asked_for(tmp_path):
    assert grave(findings(tmp_path, planted.Where(), ROWS, opset=17, change=lambda model: later(model, 18))) == [
        "wrong-opset"
    ]
    assert grave(findings(tmp_path, planted.Where(), ROWS, opset=17)) == []


def later(model, opset):
    model.opset_import[0].version = opset


@pytest.mark.parametrize(
    "options",
    [
        {"scale_factor": 1.5, "mode": "bilinear"},
        {"size": (5, 5), "mode": "bicubic", "align_corners": True},
        {"scale_factor": 2.0, "mode": "nearest"},
    ],
    ids=["bilinear", "bicubic", "nearest"],
)
def test_a_resize_with_other_coordinates_is_named(tmp_path, options):
    found = findings(tmp_path, Nest(planted.Shrink(**options)), IMAGE, change=other_coordinates)
    assert grave(found) == ["resize-differs"]
    assert spots(found, "resize-differs") == [("inner", line("Shrink"))]
    assert grave(findings(tmp_path, Nest(planted.Shrink(**options)), IMAGE)) == []


def other_coordinates(model):
    node = next(node for node in model.graph.node if node.op_type == "Resize")
    for attribute in node.attribute:
        if attribute.name == "coordinate_transformation_mode":
            attribute.s = b"asymmetric" if attribute.s != b"asymmetric" else b"half_pixel"


def test_a_resize_that_would_differ_at_another_size_is_a_note(tmp_path):
    def by_sizes(model):
        """The scale 1.6 of 8 to 12 is written as sizes: from 7 on, floor(7 * 1.6) / 7 is another scale."""
        node = next(node for node in model.graph.node if node.op_type == "Resize")
        model.graph.initializer.append(numpy_helper.from_array(np.array([3, 2, 16, 16]), "sizes"))
        node.input[:] = [node.input[0], "", "", "sizes"]

    module = planted.Shrink(scale_factor=2.0, mode="bilinear", align_corners=False)
    assert grave(findings(tmp_path, module, IMAGE)) == []
    module = planted.Shrink(scale_factor=1.6, mode="bilinear", align_corners=False)
    found = findings(tmp_path, module, {"x": floats(3, 2, 10, 10)}, change=by_sizes)
    assert spots(found, "resize-size-bound") == [("", line("Shrink"))]


def test_grid_sampling_with_other_corners_is_named(tmp_path):
    example = {**IMAGE, "grid": RANDOM.uniform(-1, 1, (3, 5, 5, 2)).astype(np.float32)}

    def corners(model):
        node = next(node for node in model.graph.node if node.op_type == "GridSample")
        for attribute in node.attribute:
            if attribute.name == "align_corners":
                attribute.i = 1

    module = planted.Sample(mode="bilinear", align_corners=False)
    found = findings(tmp_path, module, example, change=corners)
    assert grave(found) == ["resize-differs"]
    assert spots(found, "resize-differs") == [("", line("Sample"))]
    assert grave(findings(tmp_path, module, example)) == []


@pytest.mark.parametrize(
    ("module", "twin", "path", "mark"),
    [
        (planted.LiveDropout(), planted.RightDropout(), "inner.dropout", "LiveDropout"),
        (planted.LiveNorm(), planted.StillNorm(), "inner.norm", "LiveNorm"),
        (planted.FunctionalDropout(), planted.RightDropout(), "inner", "FunctionalDropout"),
    ],
    ids=["dropout", "batch norm", "functional"],
)
def test_a_layer_that_is_still_trained_is_named(tmp_path, module, twin, path, mark):
    found = findings(tmp_path, Nest(module), ROWS, change=active_dropout)
    assert grave(found) == ["training-mode"]
    assert spots(found, "training-mode") == [(path, line(mark))]
    assert grave(findings(tmp_path, Nest(twin), ROWS)) == []


def test_statistics_of_the_batch_are_named(tmp_path):
    """The graph answers as the model does; the model answers a row by its neighbours."""
    found = findings_of_export(tmp_path, Nest(planted.BatchStatistics()), ROWS)
    assert grave(found) == ["training-mode"]
    assert spots(found, "training-mode") == [("inner", line("BatchStatistics"))]


def active_dropout(model):
    """Torch's legacy exporter leaves dropout out; its newer one writes it as here."""
    for node in model.graph.node:
        if node.op_type == "Dropout":
            model.graph.initializer.append(numpy_helper.from_array(np.array(True), "training"))
            node.input[:] = [node.input[0], node.input[1], "training"]


def test_random_numbers_in_the_graph_are_named(tmp_path):
    found = findings(tmp_path, Nest(planted.Noisy()), ROWS)
    assert grave(found) == ["unseeded-randomness"]
    assert spots(found, "unseeded-randomness") == [("inner", line("Noisy"))]
    assert grave(findings(tmp_path, Nest(planted.Noiseless()), ROWS)) == []


def narrow(kind):
    """The last node's inputs go through a narrower type and back."""

    def change(model):
        node = model.graph.node[-1]
        wide = model.graph.input[0].type.tensor_type.elem_type
        for number, (to, into) in enumerate(((kind, "narrow"), (wide, "wide"))):
            source = node.input[0] if number == 0 else "narrow"
            cast = helper.make_node("Cast", [source], [into], to=to, name=f"{node.name}_{into}")
            model.graph.node.insert(len(model.graph.node) - 1, cast)
        node.input[0] = "wide"

    return change


def test_a_narrower_float_is_named(tmp_path):
    example = {"x": RANDOM.normal(size=(4, 4)) * (1 + 1e-12)}
    found = findings(tmp_path, planted.Double(), example, change=narrow(TensorProto.FLOAT))
    assert grave(found) == ["narrowed-type"]
    assert grave(findings(tmp_path, planted.Double(), example)) == []


def test_a_narrower_integer_is_named(tmp_path):
    example = {"x": np.arange(12).reshape(4, 3)}
    assert grave(findings(tmp_path, planted.Integers(), example, change=narrow(TensorProto.INT32))) == ["narrowed-type"]
    assert grave(findings(tmp_path, planted.Integers(), example)) == []


def test_numbers_that_only_the_graph_loses_are_named(tmp_path):
    def by_exp(model):
        node = model.graph.node[-1]
        assert node.op_type == "Sigmoid"
        model.graph.initializer.append(numpy_helper.from_array(np.float32(1), "one"))
        made = [
            helper.make_node("Exp", [node.input[0]], ["exp"], name="exp"),
            helper.make_node("Add", ["exp", "one"], ["sum"], name="sum"),
            helper.make_node("Div", ["exp", "sum"], list(node.output), name=node.name),
        ]
        del model.graph.node[-1]
        model.graph.node.extend(made)

    found = findings(tmp_path, planted.Sigmoid(), ROWS, change=by_exp)
    assert grave(found) == ["nonfinite-graph"]
    assert found[0].node == "exp"
    assert grave(findings(tmp_path, planted.Sigmoid(), ROWS)) == []


def test_what_both_lose_is_a_note_with_its_place(tmp_path):
    found = findings(tmp_path, Nest(planted.Logarithm()), ROWS)
    assert grave(found) == []
    assert spots(found, "nonfinite-both") == [("inner", line("Logarithm"))]


def test_outputs_in_another_order(tmp_path):
    def swap(model):
        for node in model.graph.node:
            for at, name in enumerate(node.output):
                node.output[at] = {"output_0": "output_1", "output_1": "output_0"}.get(name, name)

    found = findings(tmp_path, planted.Pair(), ROWS, change=swap)
    assert set(grave(found)) == {"outputs-swapped"}
    assert ("", line("Pair")) in spots(found, "outputs-swapped")
    assert grave(findings(tmp_path, planted.Pair(), ROWS)) == []


def test_an_output_that_is_another_one(tmp_path):
    def alias(model):
        node = next(node for node in model.graph.node if "output_1" in node.output)
        node.CopyFrom(helper.make_node("Identity", ["output_0"], ["output_1"], name=node.name))

    assert grave(findings(tmp_path, planted.Pair(), ROWS, change=alias)) == ["outputs-aliased"]


def test_one_tensor_under_two_names_is_a_note(tmp_path):
    found = findings(tmp_path, planted.Twice(), ROWS)
    assert grave(found) == []
    assert len(spots(found, "outputs-equal")) == 1


def test_a_shared_weight_that_is_stored_twice(tmp_path):
    example = {"x": RANDOM.integers(0, 50, (3, 7))}
    found = findings(tmp_path, Nest(planted.Tied()), example)
    assert grave(found) == ["tied-weights-split"]
    assert spots(found, "tied-weights-split") == [("inner.head", line("Tied"))]
    assert grave(findings(tmp_path, Nest(planted.Shared()), example)) == []


def test_a_constant_that_is_off_is_named_by_its_place(tmp_path):
    def off(model):
        weight = next(tensor for tensor in model.graph.initializer if tensor.name == "inner.0.weight")
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.01), weight.name))

    module = Nest(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)))
    found = findings_of_export(tmp_path, module, ROWS, change=off)
    assert grave(found) == ["output-differs"]
    assert spots(found, "output-differs")[0][0] == "inner.0"
    assert grave(findings(tmp_path, module, ROWS)) == []


def test_an_axis_that_could_be_free_is_a_note(tmp_path):
    found = findings(tmp_path, planted.Recurrent(), SEQUENCE)
    assert grave(found) == []
    assert [finding.node for finding in found if finding.code == "undeclared-axis"] == ["x[1]"]
    assert not [f for f in findings(tmp_path, planted.Recurrent(), SEQUENCE, axes=TIME) if f.code == "undeclared-axis"]


@pytest.mark.parametrize("kind", [planted.Remembering, planted.RememberingAnew, planted.Drawing])
def test_a_model_that_answers_otherwise_each_time_is_told_with_its_line(tmp_path, kind):
    found = findings_of_export(tmp_path, Nest(kind()), ROWS)
    assert grave(found) == ["unsteady-model"]
    assert spots(found, "unsteady-model") == [("inner", line(kind.__name__))]


def test_what_is_remembered_and_never_answered_is_nobodys_business(tmp_path):
    assert grave(findings_of_export(tmp_path, Nest(planted.CountingCalls()), ROWS)) == []


def test_a_model_that_itself_takes_one_length_only_is_told(tmp_path):
    found = findings(tmp_path, Nest(planted.ForSix()), ROWS)
    assert grave(found) == ["baked-axis"]
    assert spots(found, "baked-axis") == [("inner", line("ForSix"))]


def test_a_runtimes_own_sigmoid_is_no_divergence(tmp_path):
    rows = {"x": floats(6, 4) * 0.5}
    assert grave(findings(tmp_path, Nest(planted.Rare()), rows)) == []


def test_a_sequence_of_one_step_is_asked_too(tmp_path):
    """Where the backward direction of an RNN goes wrong, as in a runtime's kernel, at length 1 alone."""

    def wrong_at_one_step(model):
        graph = model.graph
        right = next(node for node in graph.node if node.op_type == "RNN").output[0]
        for node in graph.node:
            node.input[:] = ["astray" if name == right else name for name in node.input]
        graph.initializer.extend(
            [numpy_helper.from_array(np.array([1]), "one"), numpy_helper.from_array(np.float32(0.01), "off")]
        )
        at = next(place for place, node in enumerate(graph.node) if right in node.output) + 1
        for node in (
            helper.make_node("Add", ["steps_off", right], ["astray"]),
            helper.make_node("Mul", ["steps_float", "off"], ["steps_off"]),
            helper.make_node("Cast", ["steps_one"], ["steps_float"], to=TensorProto.FLOAT),
            helper.make_node("Equal", ["steps", "one"], ["steps_one"]),
            helper.make_node("Shape", [right], ["steps"], start=0, end=1),
        ):
            graph.node.insert(at, node)

    found = findings(tmp_path, Nest(planted.BothWays()), SEQUENCE, axes=TIME, change=wrong_at_one_step)
    assert grave(found) == ["baked-axis"]
    assert "at time = 1" in found[0].what
    assert grave(findings(tmp_path, Nest(planted.BothWays()), SEQUENCE, axes=TIME)) == []
