"""BERT's tokens: words and marks, each the longest pieces of the vocabulary from the left (Wu et al., 2016)."""

import re
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np

_WORDS = re.compile(r"\w+|[^\w\s]")
_LONGEST = 100


class WordPiece:
    """A vocabulary, one piece a line."""

    def __init__(self, file: Path) -> None:
        pieces = file.read_text(encoding="utf-8").splitlines()
        self._number = {piece: number for number, piece in enumerate(pieces)}
        self._of = cache(self._word)

    def __call__(self, text: str, length: int) -> np.ndarray:
        """INT64 [length]: begin, pieces, end, and zeros."""
        plain = unicodedata.normalize("NFD", text.lower())
        plain = "".join(letter for letter in plain if unicodedata.category(letter) != "Mn").replace("_", " _ ")
        numbers = [self._number["[CLS]"]]
        for word in _WORDS.findall(plain):
            if len(numbers) >= length:
                break
            numbers += self._of(word)
        numbers = [*numbers[: length - 1], self._number["[SEP]"]]
        return np.array(numbers + [0] * (length - len(numbers)), dtype=np.int64)

    def _word(self, word: str) -> list[int]:
        numbers, start = [], 0
        while start < len(word) <= _LONGEST:
            end = len(word)
            while end > start and ("##" if start else "") + word[start:end] not in self._number:
                end -= 1
            if end == start:
                break
            numbers.append(self._number[("##" if start else "") + word[start:end]])
            start = end
        return numbers if start == len(word) else [self._number["[UNK]"]]
