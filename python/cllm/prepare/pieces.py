"""Documents are cut into pieces that are tokenized on their own, and pieces are put into batches.

Where a piece ends depends on the text alone, so the same input gives the same pieces on any number
of processes, and again when an interrupted work goes on.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from cllm._cllm import InputError
from cllm.prepare.readers import Chunks

PIECE = 1 << 16  # characters of a piece of a long document
WHOLE = 1 << 22  # characters of a document that must not be cut
BATCH = 1 << 19  # characters of a batch
MOST = 4096  # pieces of a batch


@dataclass
class Piece:
    text: str
    starts: bool  # with it begins a document
    ends: bool


@dataclass
class Batch:
    """What one process tokenizes at once."""

    texts: list[str] = field(default_factory=list)
    starts: list[bool] = field(default_factory=list)
    ends: list[bool] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)  # 0 trains, 1 validates
    characters: int = 0

    def add(self, piece: Piece, part: int) -> None:
        self.texts.append(piece.text)
        self.starts.append(piece.starts)
        self.ends.append(piece.ends)
        self.parts.append(part)
        self.characters += len(piece.text)

    def full(self) -> bool:
        return self.characters >= BATCH or len(self.texts) >= MOST


def _is_clean(before: str, after: str) -> bool:
    """Every usual tokenizer begins a token between these: after a word, before a space."""
    return before.isalnum() and after.isspace()


def _ends_word(before: str, after: str) -> bool:
    """Most begin one here: after a letter, before a mark that is no part of words or names."""
    return (before.isalpha() and after not in "'\u2019<>|[]_"
            and unicodedata.category(after)[0] == "P")


def cut_of(text: str, limit: int) -> int:
    """Where to cut a text that is longer than `limit`: the last good place of its second half."""
    for space in (" ", "\n"):
        at = text.rfind(space, limit // 2, limit)
        while at > 0:
            if _is_clean(text[at - 1], text[at]):
                return at
            at = text.rfind(space, limit // 2, at)
    for good in (_is_clean, _ends_word):
        for at in range(limit - 1, limit // 2, -1):
            if good(text[at - 1], text[at]):
                return at
    return limit


def cut_documents(chunks: Chunks, exact: bool, name: str) -> Iterator[Piece]:
    """Pieces of each document; empty ones have none. `exact` allows cuts."""
    text, starts = "", True
    for chunk, ends in chunks:
        text = text + chunk if text else chunk
        begin = 0
        while exact and len(text) - begin > PIECE:
            window = text[begin:begin + PIECE + 1]
            size = cut_of(window, PIECE)
            yield Piece(window[:size], starts, False)
            begin, starts = begin + size, False
        if begin:
            text = text[begin:]
        if len(text) > WHOLE:
            raise InputError(f"{name}: a document has more than {WHOLE} characters, and this "
                             "tokenizer cannot be applied to a part of it: expected shorter ones")
        if ends:
            if text or not starts:
                yield Piece(text, starts, True)
            text, starts = "", True
