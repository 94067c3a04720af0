import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from onnxyard.errors import ArtifactCorruptError, UserCodeError
from onnxyard.sources.jax.parameters import read_parameters, write_parameters

LEAVES = stn.arrays(
    st.sampled_from([np.float32, np.int32, np.float16, np.dtype(ml_dtypes.bfloat16)]),
    stn.array_shapes(min_dims=0, max_dims=2, max_side=3),
    elements=st.integers(0, 5),
)
TREES = st.recursive(
    st.none() | LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(one, other) -> None:
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        for left, right in zip(one, other, strict=True):
            same(left, right)
    elif one is not None:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@settings(max_examples=40)
@given(tree=TREES)
@example(tree={"a": {"b": np.zeros(1)}, "a/b": np.ones(1), "a~1b": np.full(1, 2.0)})
def test_a_tree_comes_back_as_it_was(tmp_path_factory, tree):
    folder = tmp_path_factory.mktemp("tree")
    write_parameters(folder, tree)
    same(tree, read_parameters(folder))
    assert not list(folder.rglob("*.pkl"))


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        ({"layers": [{"weight": lambda: 0}]}, "a function at /layers/0/weight"),
        ({1: np.zeros(1)}, "the key 1"),
        ({"w": np.array(["text"])}, "an array of <U4"),
        ({"w": {1, 2}}, "a set at /w"),
        ({"w": np.array([1.0, np.nan])}, "'w' holds NaN"),
    ],
    ids=["function", "key", "text", "set", "nan"],
)
def test_what_cannot_be_stored_is_refused_by_name(tmp_path, tree, told):
    with pytest.raises(UserCodeError, match=told):
        write_parameters(tmp_path, tree)


def test_a_broken_tree_is_said_to_be_one(tmp_path):
    write_parameters(tmp_path, {"w": np.zeros(2)})
    (tmp_path / "tree.json").write_text('{"dict": {"w": {"tensor": "other"}}}')
    with pytest.raises(ArtifactCorruptError):
        read_parameters(tmp_path)
