"""The doctor's tests share modules that lie beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # planted.py and tracing.py lie beside the tests that use them
sys.path.insert(0, str(Path(__file__).parents[1] / "stages"))  # small_project.py

from small_project import Way, write_project


@pytest.fixture(scope="session")
def developed(tmp_path_factory):
    """The small project, developed. Read it, never write below it."""
    root = tmp_path_factory.mktemp("small")
    return Way(write_project(root / "project"), root / "work").develop()
