import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.forest import AT_MOST, LESS, Forest, _rounded
from onnxyard.sources.source import Asked
from onnxyard.sources.table import Table
from onnxyard.sources.table_graph import TableGraph

ANY = st.floats(allow_nan=False, allow_infinity=False)
SINGLE = st.floats(-(2.0**100), 2.0**100, width=32)


@given(threshold=ANY, value=SINGLE)
def test_a_rounded_threshold_parts_float32_values_as_the_float64_one_does(threshold, value):
    assert (np.float32(value) <= np.float32(_rounded(AT_MOST, threshold))) == (value <= threshold)
    assert (np.float32(value) < np.float32(_rounded(LESS, threshold))) == (value < threshold)


@given(value=SINGLE, steps=st.sampled_from([-1, 0, 1]))
def test_it_does_so_next_to_a_value_too(value, steps):
    threshold = float(np.nextafter(value, np.inf * steps)) if steps else value
    assert (np.float32(value) <= np.float32(_rounded(AT_MOST, threshold))) == (value <= threshold)
    assert (np.float32(value) < np.float32(_rounded(LESS, threshold))) == (value < threshold)


def test_no_trees_are_told():
    inputs = {"x": np.zeros((2, 3), np.float32)}
    graph = TableGraph(Asked(inputs, ("y",), 15, {}, {}), Table.of(inputs, {}), 15)
    with pytest.raises(UnsupportedModelError, match="no trees"):
        Forest(1, np.zeros(1)).write(graph)
