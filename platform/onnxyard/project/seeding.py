"""One seed for everything that draws numbers, and a fixed number of threads for everything that adds them up."""

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def repeatable(seed: int, *, threads: int, deterministic: bool) -> Iterator[None]:
    """Run the block so that it gives the same bytes again; the process's own state comes back afterwards.

    Args:
        seed: Seeds Python's, numpy's and torch's global generators.
        threads: Torch's threads: a sum over parts depends on how many parts there are.
        deterministic: Whether torch refuses operations that have no repeatable form.
    """
    import torch  # noqa: PLC0415 - heavy, and only torch projects have it

    # cuBLAS is repeatable only with a fixed workspace, and reads this before its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state that users' code draws from
    before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - as above
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002 - as above
