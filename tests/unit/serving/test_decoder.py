"""The strict door: what is right passes unchanged, what is wrong gets one clear message."""

import contextlib
import json
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from onnxyard.errors import InvalidRequestError, OnnxyardError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard_serving import decoder
from onnxyard_serving.datatypes import ONNX_OF, check_servable, v2_datatype
from onnxyard_serving.decoder import decode, parse_json
from onnxyard_serving.statuses import TooLargeError

SIGNATURE = Signature(
    (TensorSpec("x", "FLOAT", ("batch", 2)),),
    (TensorSpec("scores", "FLOAT", ("batch", 3)), TensorSpec("label", "INT64", ("batch",))),
)


def signature_of(onnx, *shape):
    return Signature((TensorSpec("x", onnx, shape),), (TensorSpec("y", onnx, shape),))


def tensor(**changes):
    return {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2], **changes}


def read(document, signature=SIGNATURE):
    return decode(parse_json(json.dumps(document).encode()), signature)


def test_a_request_is_decoded_whole():
    request = read(
        {"id": "mine", "parameters": {"a": 1}, "inputs": [tensor()], "outputs": [{"name": "label"}], "model_name": "?"}
    )
    assert request.client_id == "mine"
    assert request.parameters == {"a": 1}
    assert request.outputs == ("label",)
    assert request.rows == 1
    np.testing.assert_array_equal(request.inputs["x"], np.array([[1, 2]], dtype=np.float32))


@pytest.mark.parametrize("outputs", [{}, {"outputs": []}])
def test_no_selection_means_all_outputs(outputs):
    assert read({"inputs": [tensor()], **outputs}).outputs is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"\xff{}", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        ("{}".encode("utf-16"), "not valid JSON"),
        (b'{"x": NaN}', "NaN"),
        (b'{"x": [-Infinity]}', "-Infinity"),
        (b'{"id": "a", "id": "b"}', "'id' is given twice"),
        (b'{"inputs": [{"name": "x", "name": "x"}]}', "'name' is given twice"),
        (b'{"x": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"x": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_a_body_that_is_no_strict_json(body, says):
    with pytest.raises(InvalidRequestError, match=says):
        parse_json(body)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "'inputs' must be a non-empty array"),
        ({"inputs": []}, "'inputs' must be a non-empty array"),
        ({"inputs": ["x"]}, "'inputs' must be a non-empty array"),
        ({"inputs": [tensor(name=3)]}, "must be a string"),
        ({"inputs": [tensor(name="z")]}, "no input 'z'"),
        ({"inputs": [tensor(), tensor()]}, "given twice"),
        ({"inputs": [tensor(datatype="FLOAT")]}, "no valid datatype"),
        ({"inputs": [tensor(datatype=["FP32"])]}, "no valid datatype"),
        ({"inputs": [tensor(datatype="FP64")]}, "takes FP32, not FP64"),
        ({"inputs": [tensor(shape="1,2")]}, "array of positive integers"),
        ({"inputs": [tensor(shape=[1, True])]}, "array of positive integers"),
        ({"inputs": [tensor(shape=[1, 2.0])]}, "array of positive integers"),
        ({"inputs": [tensor(shape=[-1, 2])]}, "array of positive integers"),
        ({"inputs": [tensor(shape=[0, 2], data=[])]}, "array of positive integers"),
        ({"inputs": [tensor(shape=[2])]}, r"shape \[2\]; it takes \[batch, 2\]"),
        ({"inputs": [tensor(shape=[1, 3])]}, r"shape \[1, 3\]"),
        ({"inputs": [tensor(data=None)]}, "no 'data' array"),
        ({"inputs": [tensor(data=[1])]}, "1 elements; the shape"),
        ({"inputs": [tensor(data=[[1], [2]])]}, "nested, but not in the shape"),
        ({"inputs": [tensor(data=[[1, 2], [3, 4]])]}, "nested, but not in the shape"),
        ({"inputs": [tensor(data=[[[1], [2]]])]}, "must be numbers"),
        ({"inputs": [tensor(data=["1", "2"])]}, "must be numbers"),
        ({"inputs": [tensor(data=[True, 2])]}, "must be numbers"),
        ({"inputs": [tensor(data=[None, 2])]}, "must be numbers"),
        ({"inputs": [tensor(data=[1e39, 2])]}, "outside FP32's range"),
        ({"inputs": [tensor(data=[10**400, 2])]}, "outside FP32's range"),
        ({"inputs": [tensor(parameters={"binary_data_size": 8})]}, "binary_data=False"),
        ({"inputs": [tensor()], "id": 7}, "'id' must be a string"),
        ({"inputs": [tensor()], "id": "x" * 300}, "300 characters"),
        ({"inputs": [tensor()], "id": "\ud800"}, "lone surrogate"),
        ({"inputs": [tensor()], "parameters": []}, "'parameters' must be an object"),
        ({"inputs": [tensor()], "outputs": "label"}, "'outputs' must be"),
        ({"inputs": [tensor()], "outputs": [{"name": "z"}]}, "no output 'z'"),
        ({"inputs": [tensor()], "outputs": [{"name": "label"}] * 2}, "asked for twice"),
        ({"inputs": [tensor()], "outputs": [{"name": "label", "parameters": {"classification": 3}}]}, "classification"),
    ],
)
def test_a_wrong_member_is_named(document, says):
    with pytest.raises(InvalidRequestError, match=says):
        read(document)


def test_numbers_that_only_overflow_when_read_are_refused():
    body = b'{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1e999, 2]}]}'
    with pytest.raises(InvalidRequestError, match="outside FP32's range"):
        decode(parse_json(body), SIGNATURE)


def test_a_missing_input_is_named():
    two = Signature((*SIGNATURE.inputs, TensorSpec("mask", "BOOL", ("batch",))), SIGNATURE.outputs)
    with pytest.raises(InvalidRequestError, match="'mask' is missing"):
        read({"inputs": [tensor()]}, two)


@pytest.mark.parametrize("shape", [[1 << 62, 1 << 62], [1 << 13, 1 << 12], [10**4000, 10**4000]])
def test_a_huge_shape_is_refused_before_anything_is_allocated(shape):
    with pytest.raises(TooLargeError, match="elements"):
        read({"inputs": [tensor(shape=shape)]}, signature_of("FLOAT", "a", "b"))


@pytest.mark.parametrize(
    ("onnx", "data", "says"),
    [
        ("UINT8", [0, 300], "UINT8's range"),
        ("UINT8", [0, -1], "UINT8's range"),
        ("INT8", [0, 128], "INT8's range"),
        ("INT64", [0, 2**63], "INT64's range"),
        ("UINT64", [0, 2**64], "UINT64's range"),
        ("INT32", [0, 1.0], "must be integers"),
        ("INT32", [0, True], "must be integers"),
        ("BOOL", [0, 1], "must be true or false"),
        ("STRING", [0, 1], "must be strings"),
        ("STRING", ["a", "\udc00"], "lone surrogate"),
        ("FLOAT16", [0, 70000], "FP16's range"),
    ],
)
def test_values_outside_their_type(onnx, data, says):
    with pytest.raises(InvalidRequestError, match=says):
        read({"inputs": [tensor(datatype=v2_datatype(onnx), data=data)]}, signature_of(onnx, "batch", 2))


def test_what_a_client_sent_is_shown_shortly():
    with pytest.raises(InvalidRequestError) as caught:
        read({"inputs": [tensor(name="z" * 1_000_000)]})
    assert len(str(caught.value)) < 300


def test_a_type_without_a_v2_name_cannot_be_served():
    with pytest.raises(OnnxyardError, match="BFLOAT16"):
        check_servable(signature_of("BFLOAT16", "batch"))


NUMERIC = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


@st.composite
def tensors(draw):
    kind = draw(st.sampled_from([*NUMERIC, "BYTES"]))
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=3, max_side=4))
    if kind == "BYTES":
        text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
        values = draw(arrays.arrays(object, shape, elements=text))
    else:
        finite = {"allow_nan": False, "allow_infinity": False} if kind.startswith("FP") else {}
        dtype = np.dtype(NUMERIC[kind])
        values = draw(arrays.arrays(dtype, shape, elements=arrays.from_dtype(dtype, **finite)))
    return kind, values


@given(tensors(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_tensor_survives_the_round_trip(made, nested):
    kind, values = made
    data = values.tolist() if nested and values.ndim else values.ravel().tolist()
    document = {"inputs": [tensor(datatype=kind, shape=list(values.shape), data=data)]}
    onnx = ONNX_OF[kind]
    got = read(document, signature_of(onnx, *(f"a{axis}" for axis in range(values.ndim)))).inputs["x"]
    assert got.dtype == values.dtype
    assert got.shape == values.shape
    np.testing.assert_array_equal(got, values)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "shape", "datatype", "data", "id", "outputs"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {"inputs": JSON | st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(tensor(), JSON)), max_size=2)},
        optional={"id": JSON, "parameters": JSON, "outputs": JSON},
    )
    | JSON,
)
@settings(max_examples=150, deadline=None)
def test_any_document_is_decoded_or_refused(document):
    with contextlib.suppress(InvalidRequestError):  # anything else would be a 500
        read(document)


@given(st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_decoded_or_refused(body):
    with contextlib.suppress(InvalidRequestError):
        parse_json(body)


def test_the_cap_is_the_decoders(monkeypatch):
    monkeypatch.setattr(decoder, "MAX_ELEMENTS", 1)
    with pytest.raises(TooLargeError):
        read({"inputs": [tensor()]})
