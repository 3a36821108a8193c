"""Numbers with their nouns, options as the reader writes them, and errors as one line."""

import reprlib
from collections.abc import Iterable
from itertools import islice

from cllm import _cllm


def count(number: int, noun: str) -> str:
    """1 worker, 2 workers, 12,345 workers."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"


def option(name: str, value: str = "") -> str:
    """--val-fraction 0.1 on a command line, val_fraction=0.1 in Python."""
    return _cllm.option_word(name, value)


def flag(name: str) -> str:
    """--force on a command line, force=True in Python."""
    word = _cllm.option_word(name)
    return word if on_command_line() else word + "=True"


def on_command_line() -> bool:
    """Whether the user typed a command, and reads of options as they are typed."""
    return _cllm.option_word("out").startswith("--")


_LONGEST = 1500  # characters of a line


def _escaped(c: str) -> str:
    """What would break the line or drive the terminal is written out, as up to ten characters;
    bytes of file names stay."""
    return c if c.isprintable() or 0xDC80 <= ord(c) <= 0xDCFF else repr(c)[1:-1]


def _that_fit(characters: Iterable[str], room: int) -> list[str]:
    """The first characters, escaped, that have room together."""
    found = []
    for c in map(_escaped, characters):
        room -= len(c)
        if room < 0:
            break
        found.append(c)
    return found


def one_line(text: str, most: int = _LONGEST) -> str:
    """The text with escapes and without the middle of one that is too long then, such as a hostile
    file gives: a fifth of the line is its end."""
    whole = _that_fit(text, most)
    if len(whole) == len(text):
        return "".join(whole)
    begin = _that_fit(text, most - most // 5 - 3)
    return "".join([*begin, "...", *reversed(_that_fit(reversed(text), most // 5))])


def names(found: Iterable[str]) -> str:
    """The first of some names of a file, each of them short."""
    return ", ".join(one_line(name, 40) for name in islice(found, 12))


def shown(value: object) -> str:
    """A value of a file as an error shows it: short, and a text in quotes."""
    return f"'{one_line(value, 100)}'" if isinstance(value, str) else reprlib.repr(value)
