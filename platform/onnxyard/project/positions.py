"""On which line each key of a TOML document stands: what the standard library's parser does not tell.

Only documents that `tomllib` has accepted are scanned, so the scanner need not find mistakes: it walks over values,
and writes down keys.
"""

from __future__ import annotations

import re
import tomllib
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""As ("project", "columns", "features", 0): keys, and indexes into arrays."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of each key and array element of a valid TOML document.

    A table's line is that of its header, or of the first key that names it. Of an array of tables `[[a]]`, ("a",) is
    the first header and ("a", i) the i-th.
    """
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._counts: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip(_BLANK) < len(self._text):
            if self._starts("[["):
                table = self._array_header()
            elif self._starts("["):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> KeyPath:
        line = self._line()
        self._at += 1
        path = self._resolve(self._key())
        self._note(path, line)
        # A header is the better place to point at than the header of a table below it, which came first.
        self._lines[path] = line
        self._skip_past("]")
        return path

    def _array_header(self) -> KeyPath:
        line = self._line()
        self._at += 2
        *above, last = self._key()
        path = (*self._resolve(above), last)
        self._note(path, line)
        number = self._counts.get(path, 0)
        self._counts[path] = number + 1
        self._lines[(*path, number)] = line
        self._skip_past("]]")
        return (*path, number)

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = (*table, *self._key())
        self._note(path, line)
        self._skip_past("=")
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self._starts("["):
            self._array(path)
        elif self._starts("{"):
            self._inline_table(path)
        else:
            match = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            assert match is not None  # noqa: S101 - tomllib found a value here
            self._at = match.end()

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        number = 0
        self._skip(_BLANK)
        while not self._starts("]"):
            self._lines[(*path, number)] = self._line()
            self._value((*path, number))
            number += 1
            self._skip(_BLANK)
            if self._starts(","):
                self._at += 1
                self._skip(_BLANK)
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        self._skip(_BLANK)
        while not self._starts("}"):
            self._pair(path)
            self._skip(_BLANK)
            if self._starts(","):
                self._at += 1
                self._skip(_BLANK)
        self._at += 1

    def _key(self) -> list[str]:
        """A dotted key's parts."""
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            match = _STRING.match(self._text, self._at) or _BARE.match(self._text, self._at)
            assert match is not None  # noqa: S101 - tomllib found a key here
            self._at = match.end()
            part = match.group()
            parts.append(_unquoted(part) if part[0] in "\"'" else part)
            self._skip(_SPACE)
            if not self._starts("."):
                return parts
            self._at += 1

    def _resolve(self, keys: list[str]) -> KeyPath:
        """A header's keys as a path: an array of tables on the way means its last element."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path

    def _note(self, path: KeyPath, line: int) -> None:
        for end in range(1, len(path) + 1):
            self._lines.setdefault(path[:end], line)

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _starts(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._at)
        assert match is not None  # noqa: S101 - both patterns match the empty text
        self._at = match.end()
        return self._at

    def _skip_past(self, text: str) -> None:
        self._at = self._text.index(text, self._at) + len(text)


def _unquoted(literal: str) -> str:
    value = tomllib.loads(f"x = {literal}")["x"]
    assert isinstance(value, str)  # noqa: S101 - a string literal
    return value
