"""What blame's tests share: small networks, each traced once."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # networks.py lies beside the tests that use it

from networks import NETWORKS, Traced


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tiny operators are not helped by threads, and on a busy machine they wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def traced():
    """A network by its name, traced when it is first asked for."""
    return cache(lambda name: Traced.of(*NETWORKS[name]()))
