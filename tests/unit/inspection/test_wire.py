"""Where a damaged file breaks."""

import io

import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

import graphs
from onnxyard.sources.admission.wire import BrokenWireError, fields, first_break

DESCRIPTOR = onnx.ModelProto.DESCRIPTOR


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return graphs.linear(tmp_path_factory.mktemp("wire") / "model.onnx")[0].read_bytes()


def broken(content):
    return first_break(io.BytesIO(content), len(content), DESCRIPTOR)


def test_a_whole_model_breaks_nowhere(content):
    assert broken(content) == ""


def test_the_place_of_a_break_is_named(content):
    damaged = bytearray(content)
    damaged[content.index(b"MatMul") - 1] ^= 0x7F
    assert broken(bytes(damaged)).startswith("graph.node[0]: the field at byte ")


@given(data=st.data())
def test_wherever_a_file_is_cut_the_break_is_found_and_is_one(content, data):
    length = data.draw(st.integers(1, len(content) - 1))
    cut = content[:length]
    try:
        onnx.ModelProto.FromString(cut)
    except DecodeError:
        assert "byte" in broken(cut)


@given(st.binary(max_size=200))
def test_any_bytes_are_fields_or_break_in_words(content):
    try:
        found = list(fields(io.BytesIO(content), 0, len(content)))
    except BrokenWireError as error:
        found, said = [], str(error)
    else:
        said = "byte"
    assert "byte" in said
    assert all(0 <= field.start <= field.end <= len(content) for field in found)
