"""Where two walks part: the line of the branch or loop, however it is written."""

from __future__ import annotations

import pytest

from onnxyard.diagnosis.doctor.torch.decision import Parting, parting
from onnxyard.diagnosis.doctor.torch.walk import Call, Walk

SOURCE = """\
def forward(x):
    if long(x):
        a(x)
    elif short(x):
        b(x)
    for row in x:
        c(row)
        if row:
            d(row)
    return e(x) if x else f(x)
"""


def walk(*lines, numbers=()):
    return Walk(tuple(Call("call", "part", (f"user.py:{line}",), numbers) for line in lines), frozenset())


@pytest.mark.parametrize(
    ("example", "other", "line"),
    [
        ((3, 7), (5, 7), 2),
        ((3, 7), (7,), 2),
        ((5, 7), (7,), 4),
        ((3, 7, 7, 7, 10), (3, 7, 7, 10), 6),
        ((3, 7, 7), (3, 7), 6),
        ((3, 7, 9, 10), (3, 7, 10), 6),
        ((3,), (3, 10), 2),
    ],
    ids=["if", "no else", "elif", "loop", "loop at the end", "in the loop", "early return"],
)
def test_the_line_of_the_decision(example, other, line):
    found = parting(walk(*example), walk(*other), lambda _: SOURCE, same_shapes=True)
    assert found == Parting(branch=True, module="part", source=f"user.py:{line}")


def test_another_number_on_the_same_way():
    found = parting(walk(3, numbers=(1.5,)), walk(3, numbers=(2.5,)), lambda _: SOURCE, same_shapes=True)
    assert found == Parting(branch=False, module="part", source="user.py:3")
    assert parting(walk(3, numbers=(5,)), walk(3, numbers=(6,)), lambda _: SOURCE, same_shapes=False) is None


def test_the_same_walk_does_not_part():
    assert parting(walk(3, 7), walk(3, 7), lambda _: SOURCE, same_shapes=True) is None


def test_a_source_that_cannot_be_read_leaves_the_line_of_the_call():
    def unreadable(_):
        raise OSError

    assert parting(walk(3), walk(5), unreadable, same_shapes=True).source == "user.py:3"
