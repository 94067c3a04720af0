import json
import re
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onnxyard.errors import UserCodeError
from onnxyard.processing.tokenize import byte_symbols
from pieces import before, step

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [
    "the",
    "cat",
    "##s",
    "##at",
    "un",
    "##able",
    "a",
    "b",
    "##b",
    "##a",
    "c",
    "!",
    ",",
    "cafe",
    "naive",
    "1",
    "##2",
]
VOCABULARY = [*SPECIAL, *PIECES]
LENGTH = 12


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "pieces.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    symbols = [*byte_symbols(), "ab", "abc", "Ġa", "Ġab", "Ġabc", "cc", "<pad>"]
    (folder / "pairs.json").write_text(json.dumps({token: at for at, token in enumerate(symbols)}), encoding="utf-8")
    merges = ["#version: 0.2", "a b", "ab c", "Ġ a", "Ġa b", "Ġab c", "c c"]
    (folder / "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8")
    return folder


def tokens(root, texts, opset=20, **parameters):
    given_ = {"vocabulary": "pieces.txt", "length": LENGTH} | parameters
    return before(
        [step("tokenize", input="text", **given_)], {"text": np.array(texts, dtype=object)}, root=root, opset=opset
    )


def word_piece(text):
    """BERT's basic tokenizer and WordPiece (Devlin et al., 2018; the published reference), for Latin letters."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    found = []
    for word in re.findall(r"[^\W_]+|[^\w\s]|_", plain):
        pieces, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in VOCABULARY:
                    break
            else:
                pieces.append("[UNK]")  # the reference drops the pieces before it
                break
            pieces.append(piece)
            start = end
        found += pieces
    whole = ["[CLS]", *found[: LENGTH - 2], "[SEP]"]
    return [VOCABULARY.index(piece) for piece in whole]


def padded(numbers, pad):
    return numbers + [pad] * (LENGTH - len(numbers)), [1] * len(numbers) + [0] * (LENGTH - len(numbers))


LETTERS = st.text(alphabet="abcstheunl12 !,.?-_ éÀüñ\t", max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(LETTERS, min_size=1, max_size=4))
def test_word_pieces_are_those_of_the_reference(root, texts):
    got = tokens(root, texts)
    for row, text in enumerate(texts):
        ids, mask = padded(word_piece(text), 0)
        assert got["ids"][row].tolist() == ids, text
        assert got["mask"][row].tolist() == mask


@pytest.mark.parametrize("opset", [13, 20, 27])
def test_texts_of_any_number_and_length(root, opset):
    got = tokens(root, ["the cats!", "", "a " * 50], opset=opset)
    assert got["ids"][0].tolist()[:6] == [2, 5, 6, 7, 16, 3]
    assert got["ids"][1].tolist() == [2, 3] + [0] * 10
    assert got["ids"][2].tolist() == [2] + [11] * 10 + [3]
    assert tokens(root, [], opset=opset)["mask"].shape == (0, LENGTH)


def test_letters_keep_their_case_where_asked(root):
    assert tokens(root, ["The the"], lowercase=False)["ids"][0].tolist()[:4] == [2, 1, 5, 3]


def byte_pairs(text, numbers, merges):
    """GPT-2's byte-level BPE (Radford et al., 2019; Sennrich et al., 2016), for ASCII; whole words are not split."""
    found = []
    for word in re.findall(r"'s|'t|'re|'ve|'m|'ll|'d| ?[a-zA-Z]+| ?[0-9]+| ?[^\sa-zA-Z0-9]+|\s+(?!\S)|\s+", text):
        parts = [byte_symbols()[byte] for byte in word.encode()]
        if "".join(parts) in numbers:
            parts = ["".join(parts)]
        while True:
            ranked = [(merges.index(pair), at) for at, pair in enumerate(pairwise(parts)) if pair in merges]
            if not ranked:
                break
            rank, _ = min(ranked)
            left, right = merges[rank]
            joined, at = [], 0
            while at < len(parts):
                if parts[at : at + 2] == [left, right]:
                    joined.append(left + right)
                    at += 2
                else:
                    joined.append(parts[at])
                    at += 1
            parts = joined
        found += [numbers[part] for part in parts]
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet="abc1 !'s", max_size=20), min_size=1, max_size=4))
@example([" ab"])  # a token, and the merges of the letters alone would make "ab" first
def test_byte_pairs_are_those_of_the_reference(root, texts):
    numbers = json.loads((root / "pairs.json").read_text(encoding="utf-8"))
    merges = [tuple(line.split(" ")) for line in (root / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]]
    got = tokens(root, texts, vocabulary="pairs.json", merges="merges.txt")
    for row, text in enumerate(texts):
        ids, mask = padded(byte_pairs(text, numbers, merges)[:LENGTH], numbers["<pad>"])
        assert got["ids"][row].tolist() == ids, text
        assert got["mask"][row].tolist() == mask


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe", "lacks \\[MASK\\]"),
        ("\n".join([*VOCABULARY, "the"]), "'the' twice"),
        ("\n".join([*SPECIAL, "", "the"]), "an empty line"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_vocabulary_that_is_none_is_refused(tmp_path, written, says):
    if written is not None:
        (tmp_path / "v.txt").write_bytes(written if isinstance(written, bytes) else written.encode())
    with pytest.raises(UserCodeError, match=says) as caught:
        tokens(tmp_path, ["a"], vocabulary="v.txt")
    assert caught.value.where == "v.txt"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"a": 0}', "lacks the byte"),
        (json.dumps({symbol: at for at, symbol in enumerate(byte_symbols())}), "none of <pad>"),
    ],
)
def test_a_byte_vocabulary_that_is_none_is_refused(root, tmp_path, written, says):
    (tmp_path / "v.json").write_text(written, encoding="utf-8")
    (tmp_path / "merges.txt").write_bytes((root / "merges.txt").read_bytes())
    with pytest.raises(UserCodeError, match=says):
        tokens(tmp_path, ["a"], vocabulary="v.json", merges="merges.txt")


def test_only_texts_are_tokenized(root):
    with pytest.raises(UserCodeError, match="not texts"):
        before(
            [step("tokenize", input="text", vocabulary="pieces.txt", length=4)],
            {"text": np.zeros((1, 3), np.float32)},
            root=root,
        )
