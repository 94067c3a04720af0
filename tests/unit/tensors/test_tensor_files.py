import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError
from onnxyard.tensors.dtypes import _NUMPY_OF, is_floating, numpy_dtype, onnx_name
from onnxyard.tensors.files import read_tensors, write_tensors

PLAIN = ["FLOAT", "DOUBLE", "FLOAT16", "BOOL", "COMPLEX64", "COMPLEX128"]
PLAIN += [f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def arrays(name):
    return hnp.arrays(numpy_dtype(name), SHAPES)


def same(left, right):
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.sampled_from(PLAIN).flatmap(arrays), max_size=3))
def test_numbers_come_back_bit_by_bit(tmp_path_factory, tensors):
    folder = tmp_path_factory.mktemp("tensors")
    write_tensors(folder, tensors)
    back = read_tensors(folder)
    assert list(back) == list(tensors)
    assert all(same(back[name], tensors[name]) for name in tensors)


@settings(deadline=None)
@given(hnp.arrays(object, SHAPES, elements=st.text(max_size=4)))
def test_any_text_comes_back(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("texts")
    write_tensors(folder, {"t": texts})
    back = read_tensors(folder)["t"]
    assert back.shape == texts.shape
    assert back.tolist() == texts.tolist()


@pytest.mark.parametrize("name", sorted(set(_NUMPY_OF) - {"STRING"}))
def test_every_onnx_type_comes_back(tmp_path, name):
    values = np.arange(6).reshape(2, 3).astype(bool if name == "BOOL" else np.int8).astype(numpy_dtype(name))
    write_tensors(tmp_path, {"x": values})
    back = read_tensors(tmp_path)["x"]
    assert onnx_name(back.dtype) == name
    np.testing.assert_array_equal(back.astype(np.complex128), values.astype(np.complex128))


def test_numpy_strings_are_strings_too(tmp_path):
    write_tensors(tmp_path, {"u": np.array(["a", "bc"])})
    assert read_tensors(tmp_path)["u"].tolist() == ["a", "bc"]


@pytest.mark.parametrize("values", [np.array([1, "a"], dtype=object), np.array(["2020-01-01"], dtype="datetime64[D]")])
def test_what_onnx_cannot_hold_is_refused(tmp_path, values):
    with pytest.raises(InvalidRequestError):
        write_tensors(tmp_path, {"x": values})
    assert not (tmp_path / "index.json").exists()


def test_floating_types_are_told_from_others():
    floating = {name for name in _NUMPY_OF if is_floating(numpy_dtype(name))}
    assert {"FLOAT", "FLOAT16", "BFLOAT16", "FLOAT8E4M3FN", "DOUBLE"} <= floating
    assert floating.isdisjoint({"INT8", "BOOL", "STRING", "INT4"})


def broken(change):
    return pytest.param(change, id=change.__name__)


def no_index(folder):
    (folder / "index.json").unlink()


def index_is_no_json(folder):
    (folder / "index.json").write_text("{")


def index_is_another_thing(folder):
    (folder / "index.json").write_text('{"a": 1}')


def no_file(folder):
    (folder / "0000.pb").unlink()


def file_is_cut(folder):
    (folder / "0000.pb").write_bytes((folder / "0000.pb").read_bytes()[:-3])


def file_is_noise(folder):
    (folder / "0000.pb").write_bytes(b"\xff" * 50)


def file_is_another_tensor(folder):
    write_tensors(folder / "other", {"x": np.zeros((2, 2), np.float32)})
    (folder / "0000.pb").write_bytes((folder / "other" / "0000.pb").read_bytes())


def file_lies_outside(folder):
    index = json.loads((folder / "index.json").read_text())
    index[0]["file"] = "../0000.pb"
    (folder / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    "change",
    [
        broken(f)
        for f in (
            no_index,
            index_is_no_json,
            index_is_another_thing,
            no_file,
            file_is_cut,
            file_is_noise,
            file_is_another_tensor,
            file_lies_outside,
        )
    ],
)
def test_damage_is_named(tmp_path, change):
    write_tensors(tmp_path, {"x": np.arange(3)})
    change(tmp_path)
    with pytest.raises(ArtifactCorruptError) as caught:
        read_tensors(tmp_path)
    assert str(tmp_path) in caught.value.where


def test_the_same_tensors_give_the_same_bytes(tmp_path):
    for name in "ab":
        write_tensors(tmp_path / name, {"x": np.arange(3), "t": np.array(["ö"])})
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1]
