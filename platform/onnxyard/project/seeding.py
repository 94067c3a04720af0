"""One seed for everything that draws numbers, and a fixed number of threads for everything that adds them up."""

from __future__ import annotations

import os
import random
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, numpy and (where it is loaded) torch for the block; then restore them.

    A project's code draws from these; new code should rather make a generator of its own from `config["seed"]`.
    """
    torch = sys.modules.get("torch")  # never imported for its own sake: a project may do without it
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the generators that users' code draws from
    drawn = torch.random.get_rng_state() if torch is not None else None
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - as above
    if torch is not None:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002 - as above
        if torch is not None and drawn is not None:
            torch.random.set_rng_state(drawn)


@contextmanager
def repeatable(seed: int, *, threads: int, deterministic: bool) -> Iterator[None]:
    """Seed the block, and let torch (where it is loaded) compute so that the same bytes come out again.

    Args:
        seed: As for `seeded`.
        threads: Torch's threads: a sum over parts depends on how many parts there are.
        deterministic: Whether torch refuses operations that have no repeatable form.
    """
    torch = sys.modules.get("torch")
    with seeded(seed):
        if torch is None:
            yield
            return
        # cuBLAS is repeatable only with a fixed workspace, and reads this before its first use.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])
