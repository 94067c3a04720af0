"""Learns vocabulary.txt from the training texts: `python vocabulary.py`.

The vocabulary is part of the model. It is a file of the project, so that it is versioned with the code; the tokenizer
in the graph holds a copy of it. Learn it anew when the texts change, and train again.
"""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

from tickets import tickets

SIZE = 500
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TRAIN_ROWS, TRAIN_SEED = 3000, 1


def vocabulary(texts: list[str], size: int) -> list[str]:
    """WordPiece's tokens: all letters, then the most frequent pair of neighbours joined to one, again and again.

    A piece inside a word begins with ##. As for BERT, words are lower-case and punctuation stands alone.
    """
    words = Counter(re.findall(r"[a-z0-9]+|[^\sa-z0-9]", " ".join(texts).lower()))
    split = {word: [word[0], *(f"##{letter}" for letter in word[1:])] for word in words}
    tokens = SPECIAL + sorted({piece for pieces in split.values() for piece in pieces})
    while len(tokens) < size:
        pairs = Counter()
        for word, pieces in split.items():
            for pair in pairwise(pieces):
                pairs[pair] += words[word]
        (left, right), _ = max(pairs.items(), key=lambda entry: (entry[1], entry[0]))
        tokens.append(left + right.removeprefix("##"))
        split = {word: _joined(pieces, left, right) for word, pieces in split.items()}
    return tokens


def _joined(pieces: list[str], left: str, right: str) -> list[str]:
    made: list[str] = []
    for piece in pieces:
        if made and made[-1] == left and piece == right:
            made[-1] = left + right.removeprefix("##")
        else:
            made.append(piece)
    return made


if __name__ == "__main__":
    learnt = vocabulary(tickets(TRAIN_ROWS, TRAIN_SEED)[0], SIZE)
    Path(__file__).with_name("vocabulary.txt").write_text("\n".join(learnt) + "\n", encoding="utf-8")
