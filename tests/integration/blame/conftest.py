"""What blame's tests share: small networks, each traced once."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # networks.py lies beside the tests that use it

from networks import NETWORKS, Traced


@pytest.fixture(scope="session")
def traced():
    """A network by its name, traced when it is first asked for."""
    return cache(lambda name: Traced.of(*NETWORKS[name]()))
