"""One value of a project file is changed, and whatever else stands in it stays."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.diagnosis.doctor.toml_edit import with_value
from onnxyard.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[export]\nopset = 11  # old\n", "[export]\nopset = 18  # old\n"),
        ("[export]\n# nothing yet\n", "[export]\nopset = 18\n# nothing yet\n"),
        ("[export]", "[export]\nopset = 18\n"),
        ("[gates]\n", "[gates]\n\n[export]\nopset = 18\n"),
        ("export = { opset = 11, x = 1 }\n", "export = { opset = 18, x = 1 }\n"),
        ("export.opset=11\n", "export.opset=18\n"),
        ('[export]\n"opset" = 11\r\n', '[export]\n"opset" = 18\r\n'),
        ("[export] # here\nmy-opset = 3\nopset\t=\t11", "[export] # here\nmy-opset = 3\nopset\t=\t18"),
    ],
)
def test_a_number_finds_its_place(before, after):
    assert with_value(before, ("export",), "opset", 18) == after


def test_a_list_over_several_lines_is_replaced_whole():
    text = '[project.axes]\nx = [\n  "batch",  # rows, ]\n  6,\n] # behind\ny = ["batch"]\n'
    edited = with_value(text, ("project", "axes"), "x", ["batch", "length"])
    assert edited == '[project.axes]\nx = ["batch", "length"] # behind\ny = ["batch"]\n'


def test_a_document_that_cannot_be_changed_in_one_place_is_left_alone():
    with pytest.raises(InvalidRequestError, match=r"\[export\] opset cannot be set to 18"):
        with_value('export = { x = 1 }\n"a b" = 2\n', ("export",), "opset", 18)


WORDS = st.text("abcdefgh-_", min_size=1, max_size=5)
COMMENTS = st.sampled_from(["", "  # opset = 5", " # [export]", "\n# a line = 1"])
VALUES = st.one_of(st.integers(0, 99), WORDS, st.lists(st.one_of(st.integers(0, 9), WORDS), max_size=3))


def written(value):
    return repr(value).replace("'", '"')


@given(st.dictionaries(WORDS, st.dictionaries(WORDS, VALUES, max_size=3), max_size=3), COMMENTS, WORDS, WORDS, VALUES)
def test_any_document_differs_in_this_value_alone(tables, comment, table, key, value):
    text = "".join(
        f"[{name}]{comment}\n" + "".join(f"{inner} = {written(v)}{comment}\n" for inner, v in entries.items())
        for name, entries in tables.items()
    )
    edited = with_value(text, (table,), key, value)
    wanted = tomllib.loads(text)
    wanted.setdefault(table, {})[key] = value
    assert tomllib.loads(edited) == wanted
    kept = edited.splitlines()
    assert all(kept.count(line) >= 1 for line in text.splitlines() if line.lstrip().startswith("#"))
