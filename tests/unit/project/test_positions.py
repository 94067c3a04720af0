"""Every key that tomllib finds has a line, and that line holds the key."""

import json
import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from onnxyard.project.positions import key_lines

KEYS = st.text("ab.#=[]{}\"' é-_1", min_size=1, max_size=4)
TEXTS = st.text("ab.#=[]{},\"' é\n\\1", max_size=8)
SCALARS = st.one_of(st.integers(-5, 5), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=3)
DOCUMENTS = st.dictionaries(KEYS, VALUES | TABLES | st.lists(TABLES, min_size=1, max_size=2), max_size=4)


def key(name: str) -> str:
    bare = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
    return name if bare else f"'{name}'" if "'" not in name else json.dumps(name, ensure_ascii=False)


class Writer:
    """Writes a document as TOML, drawing each time how to say a thing."""

    def __init__(self, draw):
        self.draw = draw
        self.lines = []

    def document(self, table, path=()):
        later = []
        for name, value in table.items():
            tables = isinstance(value, list) and value and all(isinstance(v, dict) for v in value)
            if (isinstance(value, dict) or tables) and self.draw(st.booleans()):
                later.append((name, value))
            elif isinstance(value, dict) and value and self.draw(st.booleans()):
                self.noise()
                self.lines += [f"{key(name)} . {key(k)} = {self.value(v)}" for k, v in value.items()]
            else:
                self.noise()
                self.lines.append(f"  {key(name)}\t= {self.value(value)} # {name!r} = 1")
        for name, value in later:
            header = ".".join(map(key, (*path, name)))
            for one in value if isinstance(value, list) else [value]:
                self.noise()
                self.lines.append(f"[[{header}]]" if isinstance(value, list) else f"[ {header} ] # [x]")
                self.document(one, (*path, name))

    def noise(self):
        self.lines += self.draw(st.sampled_from([[], [""], ["# [a]", "\t"]]))

    def value(self, value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key(k)} = {self.value(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            between, end = self.draw(st.sampled_from([(", ", ""), (",\n  # ]\n ", ",\n"), (",", " ")]))
            return "[" + between.join(map(self.value, value)) + (end if value else "") + "]"
        if isinstance(value, str):
            escaped = json.dumps(value, ensure_ascii=False)
            if "\n" in value and self.draw(st.booleans()):
                return '"""\n' + escaped[1:-1].replace("\\n", "\n") + '"""'
            return f"'{value}'" if not set("'\n") & set(value) and self.draw(st.booleans()) else escaped
        return json.dumps(value) if isinstance(value, bool) else repr(value)


@st.composite
def toml(draw):
    writer = Writer(draw)
    writer.document(draw(DOCUMENTS))
    return "\n".join(writer.lines)


def paths(value, at=()):
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, deeper in inner:
        yield (*at, name)
        yield from paths(deeper, (*at, name))


@settings(max_examples=300, deadline=None)
@given(toml())
def test_every_key_has_a_line_that_holds_it(text):
    document = tomllib.loads(text)
    lines, found = text.split("\n"), key_lines(text)
    for path in paths(document):
        line = lines[found[path] - 1]
        if isinstance(path[-1], str):
            assert key(path[-1]) in line


def test_the_lines_of_a_document_with_everything_in_it():
    text = '''# a comment
[a]
b.c = """
d = 1
"""
e = [
  1, # two on a line
  {f = 2}, 3,
]
[[g]]
h = 1
[[g]]
[g.i]
"j k" = 'x'
'''
    assert key_lines(text) == {
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "b", "c"): 3,
        ("a", "e"): 6,
        ("a", "e", 0): 7,
        ("a", "e", 1): 8,
        ("a", "e", 1, "f"): 8,
        ("a", "e", 2): 8,
        ("g",): 10,
        ("g", 0): 10,
        ("g", 0, "h"): 11,
        ("g", 1): 12,
        ("g", 1, "i"): 13,
        ("g", 1, "i", "j k"): 14,
    }


def test_windows_line_ends_count_once():
    assert key_lines("[a]\r\nb = 1\r\nc = '''\r\n'''\r\nd = 2\r\n")["a", "d"] == 5
