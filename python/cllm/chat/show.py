"""Examples in the terminal, with what is trained in colour or, where there is none, in brackets."""

import unicodedata
from collections.abc import Iterator
from itertools import groupby

from rich.console import Console
from rich.text import Text

from cllm._words import count
from cllm.chat.encode import Encoded
from cllm.chat.tokenizer import ChatTokenizer

STYLE = "bold green"
BEGIN, END = "[[", "]]"
_DRIVING = {"Cc", "Cs", "Zl", "Zp"}  # controls, halves of characters, separators of lines
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # a text round, or back


def pieces_of(example: Encoded, tokenizer: ChatTokenizer) -> list[tuple[str, bool]]:
    """The text as the tokens have it, in pieces that are trained or not."""
    return [("".join(text for text, _ in group), trained)
            for trained, group in groupby(_texts(example, tokenizer), lambda piece: piece[1])]


def _texts(example: Encoded, tokenizer: ChatTokenizer) -> Iterator[tuple[str, bool]]:
    """The text of each token. Several may stand for one character; those beside the text, such as
    its end, have a name."""
    tokens, at = example.tokens, 0
    for token, begin, end, trained in zip(example.ids.tolist(), tokens.begins.tolist(),
                                          tokens.ends.tolist(), example.trained.tolist(),
                                          strict=False):
        yield tokens.text[at:end] if begin < end else tokenizer.name(token), trained
        at = max(at, end)


def visible(text: str) -> str:
    """What would drive the terminal, or show other characters out of their order, is escaped.

    Spaces, joiners and soft hyphens are part of what people write: French, Persian and emoji need
    them. So are the marks of direction U+200E and U+200F, which turn no other character round."""
    return "".join(repr(c)[1:-1] if _drives(c) else c for c in text)


def _drives(c: str) -> bool:
    return c not in "\n\t" and (unicodedata.category(c) in _DRIVING
                               or unicodedata.bidirectional(c) in _TURNING)


def show(example: Encoded, tokenizer: ChatTokenizer, console: Console) -> None:
    trained = int(example.trained[1:].sum())
    console.print(Text(f"{example.where}: {count(len(example.ids), 'token')}, {trained:,} trained",
                       "bold"))
    colour = console.color_system is not None and not console.no_color
    shown = Text()
    for text, is_trained in pieces_of(example, tokenizer):
        if is_trained and not colour:
            text = f"{BEGIN}{text}{END}"
        shown.append(visible(text), STYLE if is_trained and colour else None)
    left = len(example.tokens.ids) - len(example.ids)
    if left:
        shown.append(f"\n... {count(left, 'token')} cut", "dim")
    shown.rstrip()
    console.print(shown)
    console.print()
