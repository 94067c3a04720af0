"""Attempts are proven: planted faults in exporters are caught, and the next attempt is taken."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import graphs
from onnxyard.diagnosis.proving import prove
from onnxyard.errors import InvalidRequestError, UnsupportedModelError, UserCodeError
from onnxyard.sources.source import Asked, Attempt, Exported

FEATURES = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)


@pytest.fixture
def weights(tmp_path):
    return graphs.linear(tmp_path / "right.onnx")[1]


def writes(*remedies, scale=1.0, opset=20, change=None):
    """An attempt that writes the linear model, or a changed one."""

    def make(model_file):
        graphs.linear(model_file, scale=scale)
        model = onnx.load(model_file)
        model.opset_import[0].version = opset
        if change is not None:
            change(model)
        onnx.save(model, model_file)
        return Exported("test", {}, tuple(remedies))

    return Attempt(f"attempt x{scale:g}", make)


def refuses(detail):
    def make(_model_file):
        raise UnsupportedModelError(detail)

    return Attempt("refusing", make)


def proven(tmp_path, weights, *attempts, opset=20, axes=None, reference=True, inputs=None):
    asked = Asked(inputs or {"features": FEATURES}, ("scores",), opset, axes or {}, {})

    def source(given):
        return {"scores": given["features"] @ weights}

    expected = source(asked.inputs)
    return prove(iter(attempts), tmp_path / "model", asked, expected, reference=source if reference else None)


def test_the_first_that_holds_is_taken_and_nothing_later_is_tried(tmp_path, weights):
    found = proven(tmp_path, weights, writes(), refuses("never asked"))
    assert found.exported.remedies == ()
    assert found.checked.holds
    assert found.failed == ()
    assert [path.name for path in tmp_path.joinpath("model").iterdir()] == ["model.onnx"]


def test_an_exporter_that_silently_gives_another_opset_is_caught(tmp_path, weights):
    found = proven(tmp_path, weights, writes(opset=20), writes("other", opset=19), opset=19)
    assert found.failed == (("attempt x1", "The graph has opset 20 instead of 19."),)
    assert found.checked.graph.opset == 19


def test_a_plain_export_that_differs_gives_way_to_one_that_does_not(tmp_path, weights):
    found = proven(tmp_path, weights, writes(scale=1.01), refuses("no"), writes("mended"))
    assert found.exported.remedies == ("mended",)
    assert "differs from the source by 0.01" in found.failed[0][1]
    assert found.checked.max_error < 1e-5


def test_a_plain_export_that_differs_is_taken_when_none_does_better_and_says_so(tmp_path, weights):
    found = proven(tmp_path, weights, writes(scale=1.01), writes("worse", scale=3.0), refuses("no"))
    (told,) = found.exported.remedies
    assert "the plain export differs from the source by 0.01" in told
    assert not found.checked.holds
    assert [name for name, _ in found.failed] == ["attempt x1.01", "attempt x3", "refusing"]
    model = onnx.load(tmp_path / "model" / "model.onnx")
    np.testing.assert_allclose(numpy_helper.to_array(model.graph.initializer[0]), weights * 1.01, rtol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "right.onnx"]


def test_a_remedy_that_differs_is_never_taken(tmp_path, weights):
    with pytest.raises(UnsupportedModelError, match="first reason") as caught:
        proven(tmp_path, weights, refuses("first reason"), writes("worse", scale=1.01))
    assert len(caught.value.facts["attempts"]) == 2
    assert not (tmp_path / "model").exists()


def test_noise_of_float32_holds(tmp_path, weights):
    assert proven(tmp_path, weights, writes(scale=1.00001)).checked.holds


def test_a_frozen_branch_is_caught_by_single_rows(tmp_path, weights):
    def source(given):
        scores = given["features"] @ weights
        return {"scores": scores if given["features"].sum() > 0 else -scores}

    features = np.abs(FEATURES)
    features[2] *= -0.1  # this row alone takes the other branch; the whole batch does not
    asked = Asked({"features": features}, ("scores",), 20, {}, {})
    with pytest.raises(UnsupportedModelError, match="differs from the source"):
        prove(iter([writes("traced")]), tmp_path / "m", asked, source(asked.inputs), reference=source)
    # Without the source to ask, the whole batch's answers are all there is: this is why it is asked.
    assert prove(iter([writes("traced")]), tmp_path / "m", asked, source(asked.inputs)).checked.holds


def fix_length(model):
    """Reshape to the example's length behind an axis that is still called dynamic."""
    model.graph.node[0].output[0] = "free"
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 6], np.int64), "baked"))
    model.graph.node.append(helper.make_node("Reshape", ["free", "baked"], ["scores"]))


def identity(name, *, change=None):
    def make(model_file):
        graphs.write(
            model_file,
            [helper.make_node("Relu", ["tokens"], ["scores"])],
            [graphs.tensor("tokens", graphs.FLOAT, ["batch", name])],
            [graphs.tensor("scores", graphs.FLOAT, ["batch", name])],
        )
        if change is not None:
            model = onnx.load(model_file)
            change(model)
            onnx.save(model, model_file)
        return Exported("test", {})

    return Attempt("relu", make)


TOKENS = {"tokens": np.random.default_rng(2).normal(size=(3, 6)).astype(np.float32)}
DECLARED = {"tokens": ("batch", "length")}


def run_relu(given):
    return {"scores": np.maximum(given["tokens"], 0)}


def prove_relu(tmp_path, attempt, *, axes=None, reference=run_relu):
    asked = Asked(TOKENS, ("scores",), 20, DECLARED if axes is None else axes, {})
    return prove(iter([attempt]), tmp_path / "model", asked, run_relu(TOKENS), reference=reference)


def test_a_declared_axis_is_run_at_another_length(tmp_path):
    assert prove_relu(tmp_path, identity("length")).checked.holds


def test_an_axis_baked_in_behind_a_free_name_is_caught(tmp_path):
    with pytest.raises(UnsupportedModelError, match="length 7 of the axis 'length'"):
        prove_relu(tmp_path, identity("length", change=fix_length))


@pytest.mark.parametrize("name", [6, "6"])
def test_an_axis_that_is_fixed_is_caught(tmp_path, name):
    with pytest.raises(UnsupportedModelError, match="Axis 1 of 'tokens' is baked in at 6; it is declared dynamic"):
        prove_relu(tmp_path, identity(name))


def test_a_source_that_runs_at_no_other_length_is_told_so(tmp_path):
    def only_six(given):
        if given["tokens"].shape[1] != 6:
            raise UserCodeError("forward raised: only 6")
        return run_relu(given)

    with pytest.raises(InvalidRequestError, match=r"'length' is declared dynamic, but the model itself .* only 6"):
        prove_relu(tmp_path, identity("length"), reference=only_six)


def test_wrong_axes_are_told_before_anything_is_tried(tmp_path):
    with pytest.raises(InvalidRequestError, match="no input 'token'"):
        prove_relu(tmp_path, refuses("never asked"), axes={"token": ("batch", "length")})


def test_the_ir_version_is_lowered_to_what_the_targets_load(tmp_path, weights):
    asked = Asked({"features": FEATURES}, ("scores",), 20, {}, {}, ir_version=9)
    found = prove(iter([writes()]), tmp_path / "model", asked, {"scores": FEATURES @ weights})
    assert found.checked.graph.ir_version == 9


def test_an_input_and_an_output_of_one_name_are_told(tmp_path):
    asked = Asked({"scores": FEATURES}, ("scores",), 20, {}, {})
    with pytest.raises(InvalidRequestError, match="both called 'scores'"):
        prove(iter([refuses("never asked")]), tmp_path / "model", asked, {"scores": FEATURES})
