"""One value of a TOML document changed, and nothing else: comments, order and spacing stay."""

from __future__ import annotations

import json
import re
import tomllib
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from onnxyard.errors import InvalidRequestError
from onnxyard.project.positions import key_lines

if TYPE_CHECKING:
    from collections.abc import Sequence


def with_value(text: str, table: Sequence[str], key: str, value: object) -> str:
    """The document with `[table] key = value`: put in the old value's place, below its header, or in a new table.

    Args:
        text: A valid TOML document.
        table: The table's keys, as ("project", "axes").
        key: The key in it.
        value: A number, a text, or a list of these.

    Raises:
        InvalidRequestError: the document is written in a way that this cannot change.
    """
    lines = text.splitlines(keepends=True)
    known = key_lines(text)
    literal = json.dumps(value, ensure_ascii=False)  # for numbers, texts and lists of these, JSON is TOML
    at = known.get((*table, key))
    if at is not None:
        edited = _replaced(lines, at - 1, key, literal)
    elif (header := known.get(tuple(table))) is not None and lines[header - 1].lstrip().startswith("["):
        ending = "" if lines[header - 1].endswith("\n") else "\n"
        edited = "".join((*lines[:header], f"{ending}{_key(key)} = {literal}\n", *lines[header:]))
    else:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        edited = f"{text}{gap}[{'.'.join(map(_key, table))}]\n{_key(key)} = {literal}\n"
    if not _differs_only_there(text, edited, table, key, value):
        raise InvalidRequestError(
            f"[{'.'.join(table)}] {key} cannot be set to {literal} without rewriting the file.",
            remedy="Set it by hand.",
        )
    return edited


def _replaced(lines: list[str], at: int, key: str, literal: str) -> str:
    """From line `at` on: the value behind `key =` is the shortest text that parses and has an end behind it."""
    before, rest = "".join(lines[:at]), "".join(lines[at:])
    start = re.search(rf"""(?<![\w-])["']?{re.escape(key)}["']?\s*=[ \t]*""", rest)
    if start is None:
        return before + rest
    for end in range(start.end() + 1, len(rest) + 1):
        if re.match(r"[ \t]*(?:[,}#\r\n]|$)", rest[end:]) and _parses(rest[start.end() : end]):
            return before + rest[: start.end()] + literal + rest[end:]
    return before + rest


def _parses(value: str) -> bool:
    try:
        tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return False
    return True


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _differs_only_there(text: str, edited: str, table: Sequence[str], key: str, value: object) -> bool:
    wanted: dict[str, Any] = deepcopy(tomllib.loads(text))
    inner = wanted
    for part in table:
        inner = inner.setdefault(part, {})
    inner[key] = value
    try:
        return tomllib.loads(edited) == wanted
    except tomllib.TOMLDecodeError:
        return False
