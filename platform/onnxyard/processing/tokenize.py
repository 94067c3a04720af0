"""`tokenize`: texts to the numbers of their tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from onnxyard.errors import UserCodeError
from onnxyard.processing.flow import DOMAINS, Flow
from onnxyard.processing.step import Count, FileName, Flag, Step, Text

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_PADDING = ("<pad>", "<|endoftext|>")
"""What a byte-level vocabulary pads with: the first of these that it has."""
_INT64 = 7


class Tokenize(Step):
    """Texts STRING [rows] to `ids` and `mask`, INT64 [rows, length]; the mask is 1 at tokens and 0 behind them.

    By WordPiece, as BERT: split at white space and punctuation, then the longest piece first; [CLS] in front, [SEP]
    behind, which a text that is too long keeps. A word that the vocabulary cannot end gives its first pieces and [UNK],
    where BERT's own tokenizer gives [UNK] alone; a vocabulary with every letter in it has no such words.

    Or, where `merges` is named, by byte-level BPE, as GPT-2: nothing is added, and a text that is too long is cut off.
    A word that is a token as a whole is that token, whatever the merges would make of it; the two agree wherever the
    merges were learned together with the vocabulary.

    Attributes:
        vocabulary: A file of the project. WordPiece: one token per line, with [PAD], [UNK], [CLS], [SEP] and [MASK]
            among them. BPE: a JSON object of tokens and their numbers, the 256 bytes and <pad> or <|endoftext|> among
            them.
        length: Tokens per text.
        merges: BPE's merges, one pair per line.
        lowercase: WordPiece: whether texts are lower-cased and lose their accents first.
        ids: What the token numbers are called.
        mask: What the mask is called.
    """

    step: Literal["tokenize"]
    vocabulary: FileName
    length: Count
    merges: FileName | None = None
    lowercase: Flag = True
    ids: Text = "ids"
    mask: Text = "mask"

    @property
    def files(self) -> tuple[str, ...]:
        return (self.vocabulary,) if self.merges is None else (self.vocabulary, self.merges)

    @property
    def packages(self) -> tuple[str, ...]:
        return ("onnxruntime-extensions",)

    def build(self, chain: Chain) -> None:
        flow = chain.take(self.input)
        if flow.dtype != "STRING" or len(flow.shape) != 1:
            raise UserCodeError(f"{self.input!r} is {flow.dtype} {list(flow.shape)}, not texts STRING [rows].")
        ids, mask = self._pieces(chain, flow.value) if self.merges is None else self._pairs(chain, flow.value)
        for name, value in ((self.ids, ids), (self.mask, mask)):
            chain.give(name, Flow(value, "INT64", (flow.shape[0], self.length)))

    def _pieces(self, chain: Chain, texts: str) -> tuple[str, str]:
        """WordPiece. The operator takes one text at a time."""
        tokens = self._tokens(chain)
        zero, last = chain.ints([0]), chain.ints([-1])
        room, one = chain.ints([self.length - 1]), chain.ints([1])
        pad, end = (chain.ints([tokens.index(token)]) for token in ("[PAD]", "[SEP]"))
        vocabulary = "\n".join(tokens)

        def row(text: str) -> list[Flow]:
            found = chain.ops(
                "BertTokenizer",
                chain.op("Unsqueeze", text, zero),
                outputs=3,
                domain=DOMAINS[0],
                vocab_file=vocabulary,
                do_lower_case=int(self.lowercase),
                strip_accents=int(self.lowercase),
            )[0]
            cut = chain.op("Slice", chain.op("Slice", found, zero, last), zero, room)
            whole = chain.op("Concat", cut, end, axis=0)
            used = chain.op("Shape", whole)
            missing = chain.op("Sub", chain.op("Add", room, one), used)
            pads = chain.op("Concat", zero, missing, axis=0)
            ones = chain.op("Expand", one, used)
            padded = chain.op("Pad", whole, pads, chain.op("Squeeze", pad))
            return [Flow(value, "INT64", (self.length,)) for value in (padded, chain.op("Pad", ones, pads))]

        ids, mask = chain.each_row(texts, row)
        return ids, mask

    def _pairs(self, chain: Chain, texts: str) -> tuple[str, str]:
        """Byte-level BPE. The operator pads to the longest text of the call."""
        numbers, merges = self._numbers(chain)
        pad = next(numbers[token] for token in _PADDING if token in numbers)
        ids, mask = chain.ops(
            "GPT2Tokenizer",
            texts,
            outputs=2,
            domain=DOMAINS[0],
            vocab=json.dumps(numbers),
            merges=merges,
            padding_length=-1,
        )
        zeros = chain.ints([0, 0])
        end = chain.ints([2**63 - 1, self.length])
        free = chain.op("Concat", zeros, chain.ints([0, self.length]), axis=0)

        def fitted(values: str) -> str:
            return chain.op("Slice", chain.op("Pad", values, free), zeros, end)

        used = fitted(mask)
        known = chain.op("Where", chain.op("Cast", used, to=9), fitted(ids), chain.ints(pad))
        return known, used

    def _tokens(self, chain: Chain) -> list[str]:
        tokens = _read(chain, self.vocabulary).splitlines()
        missing = [token for token in _SPECIAL if token not in tokens]
        if missing:
            raise UserCodeError(f"The vocabulary lacks {missing[0]}.", where=self.vocabulary)
        if len(set(tokens)) != len(tokens) or "" in tokens:
            twice = next(token for token in tokens if tokens.count(token) > 1 or not token)
            raise UserCodeError(
                f"The vocabulary holds {twice!r} twice." if twice else "The vocabulary holds an empty line.",
                where=self.vocabulary,
            )
        return tokens

    def _numbers(self, chain: Chain) -> tuple[dict[str, int], str]:
        assert self.merges is not None  # noqa: S101 - `build` has asked
        try:
            numbers = json.loads(_read(chain, self.vocabulary))
        except ValueError as error:
            raise UserCodeError(f"The vocabulary is no JSON: {error}.", where=self.vocabulary) from error
        if not isinstance(numbers, dict) or not all(isinstance(number, int) for number in numbers.values()):
            raise UserCodeError("The vocabulary is no JSON object of tokens and numbers.", where=self.vocabulary)
        lost = [symbol for symbol in byte_symbols() if symbol not in numbers]
        if lost:
            raise UserCodeError(f"The vocabulary lacks the byte {lost[0]!r}.", where=self.vocabulary)
        if not any(token in numbers for token in _PADDING):
            raise UserCodeError(f"The vocabulary has none of {', '.join(_PADDING)}.", where=self.vocabulary)
        return numbers, _read(chain, self.merges)


def byte_symbols() -> list[str]:
    """The character that stands for each byte in a byte-level vocabulary: itself if printable, else one from 256 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _read(chain: Chain, file: str) -> str:
    try:
        return (chain.root / file).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserCodeError(f"The vocabulary cannot be read: {error}.", where=file) from error
