"""Turns: every round runs each bench once, in orders that differ."""

from __future__ import annotations

import numpy as np
import pytest

from onnxyard.errors import UnsupportedModelError
from onnxyard.measuring.bench import Block
from onnxyard.measuring.turns import Turns, play, warm_up


class Recorded:
    """A bench that writes down when it was its turn."""

    def __init__(self, name, diary, *, fails_at=None):
        self.name, self.diary, self.fails_at = name, diary, fails_at

    def take(self, inputs, *, batch_size):
        self.diary.append((self.name, "take", batch_size, sorted(inputs)))

    def block(self, *, batch_size, calls, seconds, idle=1):  # noqa: ARG002 - a bench's shape
        self.diary.append((self.name, batch_size))
        if self.fails_at is not None and len([1 for each in self.diary if each[0] == self.name]) > self.fails_at:
            raise UnsupportedModelError("it crashed")
        return Block(np.full(min(calls, 3), float(batch_size)), seconds)


def test_each_bench_plays_once_a_round_in_changing_orders():
    diary = []
    benches = {name: Recorded(name, diary) for name in "abc"}
    turns = play(benches, batch_size=4, rounds=12, random=np.random.default_rng(0))
    orders = {tuple(name for name, _ in diary[at : at + 3]) for at in range(0, 36, 3)}
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert len(orders) > 2
    assert turns.rounds(4) == 12
    assert turns.calls("a", 4) == 36


def test_rounds_add_up_over_several_batch_sizes():
    benches = {name: Recorded(name, []) for name in "ab"}
    random, turns = np.random.default_rng(0), Turns()
    for size in (1, 8, 1):
        play(benches, batch_size=size, rounds=2, random=random, turns=turns)
    assert (turns.rounds(1), turns.rounds(8), turns.rounds(2)) == (4, 2, 0)


def test_a_bench_that_fails_is_named_and_leaves_no_half_round():
    diary = []
    benches = {"good": Recorded("good", diary), "bad": Recorded("bad", diary, fails_at=2)}
    turns = Turns()
    with pytest.raises(UnsupportedModelError, match="crashed") as caught:
        play(benches, batch_size=1, rounds=5, random=np.random.default_rng(0), turns=turns)
    assert caught.value.facts["bench"] == "bad"
    assert {name: len(sizes[1]) for name, sizes in turns.blocks.items()} == {"good": 2, "bad": 2}


def test_warming_up_hands_over_every_batch_size():
    diary = []
    warm_up(Recorded("a", diary), {1: {"x": np.zeros(1)}, 8: {"x": np.zeros(8)}})
    assert [each for each in diary if "take" in each] == [("a", "take", 1, ["x"]), ("a", "take", 8, ["x"])]
