"""Every error of the tree has its HTTP status on the data plane."""

import json

import pytest

from onnxyard import errors
from onnxyard_serving import statuses


def subclasses(kind):
    return [kind for child in kind.__subclasses__() for kind in (child, *subclasses(child))]


CLASSES = [kind for kind in subclasses(errors.OnnxyardError) if kind.__module__ in {errors.__name__, statuses.__name__}]


def mapped(kind):
    return any(each in statuses.STATUSES for each in kind.__mro__)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind):
    assert mapped(kind)
    document = json.loads(statuses.problem(kind("It broke.", where="there", remedy="Mend it.")))
    assert document["status"] == statuses.status_of(kind("x")).value
    assert document["error"] == "It broke. [there] Mend it."
    assert document["type"] == f"urn:onnxyard:error:{kind.code}"


def test_the_walk_can_fail():
    class NewError(errors.OnnxyardError):
        """Nobody mapped it."""

    assert NewError in subclasses(errors.OnnxyardError)
    assert not mapped(NewError)
    assert statuses.status_of(NewError("x")) == 500


def test_the_statuses_are_the_designs():
    assert {kind.__name__: status.value for kind, status in statuses.STATUSES.items()} == {
        "InvalidRequestError": 400,
        "TooLargeError": 413,
        "UnsupportedMediaTypeError": 415,
        "NotFoundError": 404,
        "ConflictError": 409,
        "GateFailedError": 409,
        "UnsupportedModelError": 422,
        "ArtifactCorruptError": 500,
        "TransientError": 503,
    }


def test_the_most_precise_class_decides():
    assert statuses.status_of(statuses.TooLargeError("x")) == 413
    assert statuses.status_of(errors.UserCodeError("x")) == 400
    assert statuses.status_of(errors.StorageFullError("x")) == 503
    assert statuses.status_of(ValueError("x")) == 500


def test_codes_are_unique():
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)


def test_a_trace_never_leaves_the_server():
    error = errors.UserCodeError("preprocess raised: KeyError", traceback="File secret.py, line 1")
    assert b"secret" not in statuses.problem(error)
