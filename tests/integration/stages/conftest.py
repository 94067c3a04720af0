"""What the stages' tests share: a small project that was trained and exported once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # small_project.py lies beside the tests that use it

from small_project import Way, write_project


@pytest.fixture(scope="session")
def exported_way(tmp_path_factory):
    """The small project, developed and exported. Read it, never write below it."""
    root = tmp_path_factory.mktemp("small")
    return Way(write_project(root / "project"), root / "work").develop().export()
