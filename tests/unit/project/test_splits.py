import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxyard.errors import UserCodeError
from onnxyard.project.data import NAMES, Split, Splits, StreamedSplit, divide


class Loader:
    """Batches of any sizes, read anew each time, as a torch DataLoader's."""

    def __init__(self, rows, sizes=(3, 1, 7)):
        self.rows = rows
        self.sizes = sizes

    def __iter__(self):
        start = turn = 0
        while start < self.rows:
            index = np.arange(start, min(self.rows, start + self.sizes[turn % len(self.sizes)]))
            yield {"x": index[:, None].astype(np.float32)}, index % 3
            start += len(index)
            turn += 1


def whole(split):
    return np.concatenate([batch.inputs["x"] for batch in split.batches(4)]).ravel().tolist()


@settings(deadline=None)
@given(st.integers(1, 40), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 12))
def test_a_stream_gives_every_row_once_in_order_in_batches_of_the_asked_size(rows, sizes, size):
    split = StreamedSplit(Loader(rows, sizes))
    batches = [len(batch.targets) for batch in split.batches(size)]
    assert len(split) == rows == sum(batches)
    assert all(length == size for length in batches[:-1])
    assert whole(split) == list(range(rows))


@settings(deadline=None)
@given(st.integers(1, 30), st.data())
def test_taking_rows_of_a_stream_and_of_arrays_is_the_same(rows, data):
    index = data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=9))
    inputs = np.arange(rows, dtype=np.float32)[:, None]
    for split in (StreamedSplit(Loader(rows)), Split({"x": inputs}, np.arange(rows) % 3)):
        taken = split.take(index)
        assert taken.inputs["x"].ravel().tolist() == index
        assert list(taken.targets) == [i % 3 for i in index]
        assert whole(split.take(5)) == list(range(min(5, rows)))


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=40, max_size=200), st.integers(0, 9))
def test_splitting_off_deals_every_row_once_and_keeps_each_class_in_proportion(labels, seed):
    strata = np.array(labels)
    shares = {"calibration": 0.05, "validation": 0.15, "test": 0.3}
    parts = divide(strata, shares, seed)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(labels)))
    for name, share in shares.items():
        for label in np.unique(strata):
            count = int((strata == label).sum())
            assert abs(int((strata[parts[name]] == label).sum()) - share * count) <= 3
    again = divide(strata, shares, seed)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)


def test_missing_splits_are_split_off_and_given_ones_are_kept():
    rows = np.arange(200, dtype=np.float32)[:, None]
    test = Split({"x": rows[:5]}, np.arange(5))
    splits = Splits(train=Split({"x": rows}, np.arange(200) % 4), test=test).completed(seed=1)
    assert tuple(name for name, _ in splits) == NAMES
    assert splits.test is test
    assert sum(len(split) for _, split in splits) == 205


def test_a_stream_is_split_into_streams():
    splits = Splits(train=Loader(200)).completed(seed=1)
    assert all(isinstance(split, StreamedSplit) for _, split in splits)
    assert sorted(row for _, split in splits for row in whole(split)) == list(range(200))
    array = Splits(train=Split({"x": np.arange(200.0)[:, None]}, np.arange(200) % 3)).completed(seed=1)
    assert {name: whole(split) for name, split in splits} == {name: whole(split) for name, split in array}


def test_a_stream_never_holds_more_than_it_is_asked_for():
    class Endless:
        def __iter__(self):
            while True:
                yield {"x": np.zeros((10, 1), np.float32)}, np.zeros(10)

    split = StreamedSplit(Endless())
    assert len(split.take(25)) == 25
    assert len(next(iter(split.batches(7))).targets) == 7


def test_changing_inputs_keeps_rows_and_targets():
    def double(inputs):
        return {"y": inputs["x"] * 2}

    for split in (StreamedSplit(Loader(20)), Split({"x": np.arange(20.0)[:, None]}, np.arange(20) % 3)):
        changed = split.changed(double).changed(lambda inputs: {"x": inputs["y"] + 1})
        assert whole(changed) == [2 * i + 1 for i in range(20)]
        assert whole(changed.take([3, 1])) == [7, 3]


def test_ragged_targets_stay_lists():
    split = Split({"x": np.zeros((3, 1))}, [[1], [], [2, 3]])
    assert split.take(np.array([2, 0])).targets == [[2, 3], [1]]


def test_text_is_always_objects():
    assert Split({"x": np.array(["a", "b"])}, [0, 1]).inputs["x"].dtype == object


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Split({"x": np.zeros(3)}, np.zeros(2)), "differ in rows: x 3, targets 2"),
        (lambda: Split({"x": np.zeros(2), "y": np.zeros(3)}, np.zeros(2)), "x 2, y 3, targets 2"),
        (lambda: Split(np.zeros(3), np.zeros(3)), "arrays by name"),
        (lambda: Split({"x": np.float32(3)}, [0]), "single value"),
        (lambda: Split({"x": [[1], [1, 2]]}, [0, 1]), "cannot be read as an array"),
        (lambda: Splits(train=3), "train split is a int"),
        (lambda: Splits(train=iter([])), "only once"),
        (lambda: Splits(train=[3]).completed(1), "pairs"),
        (lambda: Splits(train=Split({"x": np.zeros((1, 1))}, [0])).completed(1), "too few"),
        (lambda: Splits(train=Loader(3)).test, "no test split here"),
        (lambda: StreamedSplit(Loader(3)).inputs, "streamed"),
        (lambda: StreamedSplit([]).take(3), "empty"),
    ],
)
def test_what_is_no_split_is_refused(make, message):
    with pytest.raises(UserCodeError, match=message):
        make()
