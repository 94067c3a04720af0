"""Benches timed in turns: every round runs one block of each, in an order drawn anew.

A slow moment of the machine, or a clock that settles, then meets all of them alike, and their ratios stay comparable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxyard.errors import OnnxyardError
from onnxyard.measuring.bench import Block

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from onnxyard.measuring.bench import Bench

BLOCK_S = 0.05
"""A block's length: far above the scheduler's time slice, far below the minutes in which a machine's load changes."""
CALLS = 400
"""At most so many calls a block: enough for its median."""


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """What the rounds gave.

    Attributes:
        blocks: By bench and batch size, one block a round.
    """

    blocks: dict[str, dict[int, list[Block]]] = field(default_factory=dict)

    def rounds(self, batch_size: int) -> int:
        """Rounds so far."""
        return min((len(each.get(batch_size, ())) for each in self.blocks.values()), default=0)

    def calls(self, name: str, batch_size: int) -> int:
        """Timed calls so far."""
        return sum(len(block.ms) for block in self.blocks[name].get(batch_size, ()))


def warm_up(bench: Bench, inputs: Mapping[int, Mapping[str, np.ndarray]], *, seconds: float = BLOCK_S) -> None:
    """Hand over the inputs of each batch size, and run until memory is allocated and kernels are chosen."""
    for batch_size, tensors in inputs.items():
        bench.take(tensors, batch_size=batch_size)
        bench.block(batch_size=batch_size, calls=20, seconds=seconds, idle=0)


def play(
    benches: Mapping[str, Bench],
    *,
    batch_size: int,
    rounds: int,
    random: np.random.Generator,
    turns: Turns | None = None,
    block_s: float = BLOCK_S,
    calls: int = CALLS,
) -> Turns:
    """Run rounds of blocks, and add them to `turns`.

    Args:
        benches: By any name; warm.
        batch_size: Whose inputs they are called with.
        rounds: How many.
        random: Draws the order of each round.
        turns: What earlier rounds of the same benches gave.
        block_s: Seconds of a block; a call that takes longer is one.
        calls: At most so many a block.

    Raises:
        UnsupportedModelError: a bench failed (`facts["bench"]` says which); the rounds before are in `turns`.
    """
    turns = Turns() if turns is None else turns
    names = list(benches)
    for _ in range(rounds):
        played = {}
        for at in random.permutation(len(names)):
            name = names[int(at)]
            try:
                played[name] = benches[name].block(batch_size=batch_size, calls=calls, seconds=block_s)
            except OnnxyardError as error:
                error.facts["bench"] = name  # the caller goes on without it
                raise
        for name, block in played.items():
            turns.blocks.setdefault(name, {}).setdefault(batch_size, []).append(block)
    return turns
