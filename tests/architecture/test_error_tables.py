"""Every error of the tree has its exit code, and the tree is drawn as it is."""

import inspect

import pytest

from onnxyard import errors
from onnxyard.cli.exits import EXIT_CODES, UNEXPECTED, exit_code


def subclasses(kind: type) -> list[type]:
    return [kind for child in kind.__subclasses__() for kind in (child, *subclasses(child))]


CLASSES = [kind for kind in subclasses(errors.OnnxyardError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code(kind):
    assert exit_code(kind("x")) in set(EXIT_CODES.values())


def test_the_root_and_strangers_are_unexpected():
    assert exit_code(errors.OnnxyardError("x")) == UNEXPECTED
    assert exit_code(ValueError("x")) == UNEXPECTED


def test_the_codes_are_the_ones_users_script_against():
    assert [
        exit_code(kind("x"))
        for kind in (
            errors.InvalidRequestError,
            errors.NotFoundError,
            errors.ConflictError,
            errors.GateFailedError,
            errors.UnsupportedModelError,
            errors.ArtifactCorruptError,
            errors.TransientError,
        )
    ] == [3, 4, 5, 6, 7, 8, 75]


def test_the_drawn_tree_names_every_class():
    drawing = inspect.getdoc(errors) or ""
    assert [kind.__name__ for kind in CLASSES if kind.__name__ not in drawing] == []


def test_every_error_has_a_code_of_its_own_and_a_title():
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)
    assert all(kind.title and kind.__doc__ for kind in CLASSES)
