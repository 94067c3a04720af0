"""What forward gives, by name: every structure is flattened, or refused by name with what to do."""

from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch

from onnxyard.errors import UnsupportedModelError, UserCodeError
from onnxyard.sources.torch.outputs import flat, flatten, names_of

ONE, TWO, THREE = (torch.full((2, 1), float(value)) for value in (1, 2, 3))


@dataclass
class Detection:
    boxes: object
    scores: object = None


Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - an untyped one, as users write them


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (ONE, ("anything",)),
        ([ONE], ("anything",)),
        ((ONE, TWO), ("a", "b")),
        ([ONE, TWO], ("a", "b")),
        ((ONE, (TWO, THREE)), ("a", "b", "c")),
        ({"b": TWO, "a": ONE}, ("a", "b")),
        (Detection(ONE, TWO), ("boxes", "scores")),
        (Detection(scores=TWO, boxes=ONE), ("boxes", "scores")),
        (Pair(right=TWO, left=ONE), ("left", "right")),
        ({"p": {"x": ONE, "y": TWO}, "q": [THREE]}, ("p.x", "p.y", "q.0")),
        (Detection(boxes={"left": ONE}, scores=(TWO, THREE)), ("boxes.left", "scores.0", "scores.1")),
        (Detection(ONE), ("boxes",)),
    ],
)
def test_tensors_are_found_by_name_or_position(given, names):
    flattened = flatten(given, names)
    assert tuple(flattened) == names
    assert [int(tensor[0, 0]) for tensor in flattened.values()] == list(range(1, len(names) + 1))


@pytest.mark.parametrize(
    ("given", "names", "error", "said"),
    [
        (Detection(ONE), ("boxes", "scores"), UnsupportedModelError, "'scores' is None: an optional output"),
        ((ONE, None), ("a", "b"), UnsupportedModelError, "'b' is None"),
        ({"a": [ONE, TWO]}, ("a",), UnsupportedModelError, r"'a' is a collection of 2 values.*a\.0, a\.1"),
        ({"a": ONE, "b": TWO}, ("a",), UserCodeError, "forward gives 'b' too"),
        ({"a": ONE}, ("b",), UserCodeError, "forward gave a; the project names b"),
        (ONE, ("a", "b"), UserCodeError, "forward gave 1 outputs, the project names 2"),
        ((ONE, 3), ("a", "b"), UserCodeError, "gave a int for 'b', not a tensor"),
        ({"a": "text"}, ("a",), UserCodeError, "gave a str for 'a'"),
    ],
)
def test_what_does_not_fit_is_named(given, names, error, said):
    with pytest.raises(error, match=said):
        flatten(given, names)


def test_bfloat16_is_widened_exactly():
    narrow = torch.tensor([[1.0], [3.140625]], dtype=torch.bfloat16)
    wide = flatten(narrow, ("a",))["a"]
    assert wide.dtype == torch.float32
    assert torch.equal(wide, torch.tensor([[1.0], [3.140625]]))


def test_names_where_nobody_gave_any():
    assert names_of(ONE) == ("output",)
    assert names_of((ONE, TWO)) == ("output_0", "output_1")
    assert names_of((ONE, {"a": TWO})) == ("output_0", "output_1_a")
    assert names_of({"x": ONE, "y": [TWO]}) == ("x", "y.0")
    assert names_of(Detection(ONE)) == ("boxes",)


class Two(torch.nn.Module):
    def forward(self, features):
        return {"sum": features.sum(1), "features": features}


def test_a_module_gives_a_tuple_only_while_it_is_exported():
    module = Two()
    with flat(module, ("features", "sum")):
        given = module(features=ONE)
        assert isinstance(given, tuple)
        assert torch.equal(given[0], ONE)
    assert isinstance(module(ONE), dict)
    assert "forward" not in vars(module)
