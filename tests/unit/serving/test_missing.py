"""Missing values in a V2 request: JSON null, or NaN as tritonclient writes it."""

import json

import numpy as np
import pytest

from onnxyard.errors import InvalidRequestError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard_serving.decoder import decode, parse_json

SIGNATURE = Signature(
    (
        TensorSpec("x", "FLOAT", ("batch",), missing=True),
        TensorSpec("town", "STRING", ("batch",), missing=True),
        TensorSpec("y", "FLOAT", ("batch",)),
        TensorSpec("n", "INT64", ("batch",)),
    ),
    (),
)
GOOD = {"x": ("FP32", [1.5, 2]), "town": ("BYTES", ["Ulm", ""]), "y": ("FP32", [0, 1]), "n": ("INT64", [7, 8])}


def request(**changed):
    entries = {**GOOD, **{name: (GOOD[name][0], data) for name, data in changed.items()}}
    inputs = [{"name": n, "datatype": kind, "shape": [2], "data": data} for n, (kind, data) in entries.items()]
    return json.dumps({"inputs": inputs}).encode()


@pytest.mark.parametrize("gap", [None, float("nan")])
def test_a_missing_number_becomes_nan(gap):
    decoded = decode(parse_json(request(x=[gap, 2]), nan=True), SIGNATURE)
    np.testing.assert_array_equal(decoded.inputs["x"], np.array([np.nan, 2], np.float32))


def test_a_missing_text_is_the_empty_one():
    assert decode(parse_json(request(town=[None, "Ulm"])), SIGNATURE).inputs["town"].tolist() == ["", "Ulm"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"y": [None, 1]}, "'y' must be numbers"),
        ({"y": [float("nan"), 1]}, "'y' holds a number outside"),
        ({"n": [None, 1]}, "'n' must be integers"),
        ({"x": [1e60, None]}, "'x' holds a number outside"),
        ({"x": ["", 1]}, "'x' must be numbers"),
    ],
)
def test_nothing_else_may_be_missing(changed, told):
    with pytest.raises(InvalidRequestError, match=told):
        decode(parse_json(request(**changed), nan=True), SIGNATURE)


def test_a_model_without_missing_values_takes_no_nan_at_all():
    with pytest.raises(InvalidRequestError, match="NaN, which is no JSON number"):
        parse_json(request(x=[float("nan"), 1]))
    with pytest.raises(InvalidRequestError, match="Infinity"):
        parse_json(request(x=[float("inf"), 1]), nan=True)


def test_the_signature_keeps_it():
    assert Signature.of_document(json.loads(json.dumps(SIGNATURE.document()))) == SIGNATURE
    old = {"inputs": [{"name": "y", "dtype": "FLOAT", "shape": ["batch"]}], "outputs": []}
    assert Signature.of_document(old).document() == old
