"""Max pooling as jax2onnx writes it, mended: it runs, and gives the maxima that were asked for."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from onnx import helper

import graphs
from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.jax.pooling import mend

SHAPE = (3, 5, 6, 4)
WINDOWS = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 1), st.integers(0, 1)).map(
    lambda window: (window[0], window[1], *(min(pad, window[0] - 1) for pad in window[2:]))
)
"""Size, stride, and the pads before and behind."""
NONE = (1, 1, 0, 0)


def written(folder, windows):
    """What jax2onnx 0.17 writes for `reduce_window` with `max`, one window per axis."""
    sizes, strides, before, behind = (list(column) for column in zip(*windows, strict=True))
    file = graphs.write(
        folder / "model.onnx",
        [
            helper.make_node("Unsqueeze", ["x", "zero"], ["outer"]),
            helper.make_node("Unsqueeze", ["outer", "one"], ["inner"]),
            helper.make_node(
                "MaxPool", ["inner"], ["pooled"], kernel_shape=sizes, strides=strides, pads=before + behind
            ),
            helper.make_node("Squeeze", ["pooled", "both"], ["y"]),
        ],
        [graphs.tensor("x", graphs.FLOAT, ["batch", *SHAPE[1:]])],
        [graphs.tensor("y", graphs.FLOAT, ["batch", "a", "b", "c"])],
        weights={"zero": np.array([0]), "one": np.array([1]), "both": np.array([0, 1])},
    )
    return onnx.load(file)


def run(model, values):
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": values})[
        0
    ]


def maxima(values, windows):
    padded = np.pad(values, [window[2:] for window in windows], constant_values=-np.inf)
    whole = sliding_window_view(padded, [window[0] for window in windows]).max(axis=(4, 5, 6, 7))
    return whole[tuple(slice(None, None, window[1]) for window in windows)]


def test_as_it_was_it_does_not_run(tmp_path):
    model = written(tmp_path, [NONE, (2, 2, 0, 0), (2, 2, 0, 0), NONE])
    with pytest.raises(ort.capi.onnxruntime_pybind11_state.InvalidArgument, match="Unsupported pooling size"):
        run(model, np.zeros(SHAPE, dtype=np.float32))


@settings(max_examples=40)
@given(st.permutations(range(4)), WINDOWS, WINDOWS, st.integers(0, 9))
def test_the_maxima_are_those_that_were_asked_for(tmp_path_factory, axes, one, other, seed):
    windows = [NONE] * 4
    windows[axes[0]], windows[axes[1]] = one, other
    model = written(tmp_path_factory.mktemp("pooling"), windows)
    assert mend(model.graph, {})
    onnx.checker.check_model(model, full_check=True)
    values = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    np.testing.assert_array_equal(run(model, values), maxima(values, windows))


def test_what_cannot_be_run_is_refused_with_its_line(tmp_path):
    model = written(tmp_path, [NONE, (2, 1, 0, 0), (2, 1, 0, 0), (2, 1, 0, 0)])
    with pytest.raises(UnsupportedModelError, match="windows along 3 of 4 axes") as caught:
        mend(model.graph, {"pooled": {"source": "training.py:8"}})
    assert caught.value.where == "training.py:8"


def test_what_runs_is_left_alone(tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2])],
        [graphs.tensor("x", graphs.FLOAT, ["batch", *SHAPE[1:]])],
        [graphs.tensor("y", graphs.FLOAT, ["batch", 5, 5, 3])],
    )
    model = onnx.load(file)
    before = model.SerializeToString()
    assert not mend(model.graph, {})
    assert model.SerializeToString() == before
