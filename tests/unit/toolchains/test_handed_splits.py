import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from onnxyard.errors import UserCodeError
from onnxyard.project.data import Split, Splits
from onnxyard.project.split import StreamedSplit
from onnxyard.sources import handed_splits
from onnxyard.sources.handed_splits import read_splits, write_splits


def handed(splits: Splits, folder) -> Splits:
    write_splits(folder, splits)
    return read_splits(folder)


def same(one, other) -> None:
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
        return
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


@settings(max_examples=25)
@given(
    values=stn.arrays(
        st.sampled_from([np.float32, np.int64, np.uint8, np.bool_, np.float16]),
        stn.array_shapes(min_dims=1, max_dims=3, max_side=4),
    ),
    text=st.text(max_size=5),
)
def test_rows_arrive_as_they_were(tmp_path_factory, values, text):
    names = np.array([text] * len(values), dtype=object)
    split = Split({"x": values, "name": names}, values)
    arrived = handed(Splits(train=split, validation=split), tmp_path_factory.mktemp("splits"))
    assert [name for name, _ in arrived] == ["train", "validation"]
    for name, found in arrived.train.inputs.items():
        same(split.inputs[name], found)
    same(values, arrived.validation.targets)


@pytest.mark.parametrize(
    "targets",
    [
        [np.ones((2, 4), np.float32), np.zeros((0, 4), np.float32), np.ones((1, 4), np.float32)],
        ["a", "", "long text"],
        [1, 2, 3],
    ],
    ids=["boxes", "texts", "numbers"],
)
def test_lists_of_targets_arrive_as_lists(tmp_path, targets):
    arrived = handed(Splits(train=Split({"x": np.zeros((3, 1), np.float32)}, targets)), tmp_path)
    same(targets, arrived.train.targets)


def test_a_streamed_split_is_never_in_memory_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(handed_splits, "_BLOCK", 3)
    rows = [({"x": np.full((2, 1), i, np.float32)}, np.full(2, i)) for i in range(5)]
    arrived = handed(Splits(train=StreamedSplit(rows)), tmp_path).train
    assert isinstance(arrived, StreamedSplit)
    with pytest.raises(UserCodeError, match="streamed"):
        _ = arrived.inputs
    batches = list(arrived.batches(4))
    assert [len(batch.targets) for batch in batches] == [4, 4, 2]
    assert np.concatenate([batch.targets for batch in batches]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert len(list((tmp_path / "train").iterdir())) == 4


def test_targets_that_cannot_be_handed_over_are_refused(tmp_path):
    split = Split({"x": np.zeros((2, 1), np.float32)}, [np.zeros(2), "text"])
    with pytest.raises(UserCodeError, match="differ in type or rank"):
        write_splits(tmp_path, Splits(train=split))
