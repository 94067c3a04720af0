"""What the export's tests share: the small project of the stages' tests lies beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "stages"))
sys.path.insert(0, str(Path(__file__).parent))  # modules.py lies beside the tests that use it

from small_project import Way, write_project


@pytest.fixture(scope="session")
def developed_way(tmp_path_factory):
    """The small project, developed. Read it, never write below it."""
    root = tmp_path_factory.mktemp("small")
    return Way(write_project(root / "project"), root / "work").develop()
