"""The documentation tells every code as the table has it."""

from __future__ import annotations

import re
from pathlib import Path

from onnxyard.diagnosis.codes import CODES

PAGE = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")
ENTRY = re.compile(
    r"^#### `(?P<name>[^`]+)`\n\n(?P<title>.+)\n\n- Why: (?P<why>.+)\n- Remedy: (?P<remedy>.+)$", re.MULTILINE
)
SEVERITIES = {"Blocked": "blocked", "Warnings": "warning", "Notes": "note"}


def test_the_page_and_the_table_are_equal():
    parts = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    told = {
        entry["name"]: (SEVERITIES[part.partition("\n")[0]], entry["title"], entry["why"], entry["remedy"])
        for part in parts
        for entry in ENTRY.finditer(part)
    }
    assert told == {name: (code.severity, code.title, code.why, code.remedy) for name, code in CODES.items()}


def test_codes_are_called_as_they_say():
    assert all(name == code.name and re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name, code in CODES.items())
