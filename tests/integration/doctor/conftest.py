"""The doctor's tests share modules that lie beside them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # planted.py and tracing.py lie beside the tests that use them
sys.path.insert(0, str(Path(__file__).parents[1] / "stages"))  # small_project.py
