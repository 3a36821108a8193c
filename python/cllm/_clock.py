"""The clock of a lattice as SVG: rings around, symmetry groups as hours, a token with its kissing
neighbours lit."""

import math
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

import cllm
from cllm import lattice
from cllm._words import count
from cllm.token_files import DESCRIPTION, DataSet

RINGS = 16  # that are shown
COUNTED = 1 << 26  # tokens of a data set
HOUR = 52  # pixels between neighbours on the innermost ring
APART = 30  # between rings
PAPER, INK, FAINT, LIT, KISSED = "#ffffff", "#1d3557", "#a8b2c1", "#e63946", "#f4a261"


class Tokens:
    """The tokens that are drawn: how many, how they read, how often they come."""

    def __init__(self, vocabulary: int, data: Path | None) -> None:
        self.vocabulary = vocabulary
        self.counts: NDArray[Any] | None = None
        self._set = DataSet(data) if data is not None else None
        if self._set is None:
            return
        if self._set.vocabulary > vocabulary:
            raise cllm.InputError(f"--vocab: smaller than the data set's: got {vocabulary}, "
                                  f"expected at least {self._set.vocabulary}")
        self.counts = numpy.zeros(vocabulary, numpy.int64)
        left = COUNTED
        for file in self._set.files():
            self.counts += numpy.bincount(file[:left], minlength=vocabulary)
            left -= min(left, len(file))

    def text(self, token: int) -> str:
        """How it reads, quoted; its number where that is not known."""
        if self._set is None or token >= self._set.vocabulary:
            return f"token {token}"
        return _quoted(self._set.decode([token]))

    def found(self, asked: str | None, symmetry: int) -> int:
        """The token of a number or a text; without either, one of a ring near the middle."""
        if asked is None:
            return min(self.vocabulary // 2, RINGS // 4 * symmetry + 1)
        if asked.isdecimal() and int(asked) < self.vocabulary:
            return int(asked)
        if self._set is not None:
            matching = [t for t in range(self._set.vocabulary) if self._set.decode([t]) == asked]
            if matching:
                return matching[0]
        raise cllm.InputError(f'--token: no such token: got "{asked}", expected a number below '
                              f"{self.vocabulary}" + (", or the text of a token of the data set"
                                                      if self._set else ""))


def _quoted(text: str) -> str:
    """A text in quotes, with what cannot be seen written out."""
    return repr(text)[1:-1].join("\u201c\u201d")


def vocabulary_of(data: Path) -> int:
    if not (data / DESCRIPTION).exists():
        raise cllm.InputError(f"--data: no data set: got {data}, expected a folder of "
                              "`cllm prepare`")
    return DataSet(data).vocabulary


class _Face:
    """Where the dots of the shown rings lie."""

    def __init__(self, vocabulary: int, symmetry: int, lit: int) -> None:
        self.symmetry = symmetry
        self.rings = (vocabulary + symmetry - 1) // symmetry
        first = lit // symmetry - RINGS // 2
        self.first = max(0, min(first, self.rings - RINGS))
        self.last = min(self.rings, self.first + RINGS)
        self.inner = max(2 * APART, HOUR * symmetry / (2 * math.pi))
        self.outer = self.inner + APART * (self.last - self.first)
        self.middle = self.outer + 60

    def at(self, ring: float, group: int) -> tuple[float, float]:
        """Group 0 is at twelve o'clock, the others go round as hours do."""
        angle = 2 * math.pi * group / self.symmetry
        radius = self.inner + APART * (ring - self.first)
        return (round(self.middle + radius * math.sin(angle), 1),
                round(self.middle - radius * math.cos(angle), 1))

    def shows(self, token: int) -> bool:
        return self.first <= token // self.symmetry < self.last

    def place(self, token: int) -> tuple[float, float]:
        return self.at(token // self.symmetry, token % self.symmetry)


def _label(x: float, y: float, text: str, size: int, colour: str, anchor: str = "middle") -> str:
    return (f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">'
            f"{escape(text)}</text>")


def draw(tokens: Tokens, symmetry: int, lit: int) -> Iterator[str]:
    """The pieces of the SVG."""
    face = _Face(tokens.vocabulary, symmetry, lit)
    kissed = list(dict.fromkeys(
        lattice.neighbours_of(lit, tokens.vocabulary, symmetry).tolist()))
    width, height = 2 * face.middle, 2 * face.middle + 50
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
           f'width="{width:.0f}" height="{height:.0f}" font-family="sans-serif">\n'
           f'<rect width="100%" height="100%" fill="{PAPER}"/>\n')
    for ring in range(face.first, face.last):
        yield (f'<circle cx="{face.middle}" cy="{face.middle}" '
               f'r="{face.inner + APART * (ring - face.first):.1f}" fill="none" '
               f'stroke="{FAINT}" stroke-width="0.5"/>\n')
    for group in range(symmetry):
        x, y = face.at(face.last, group)
        yield _label(x, y + 5, str(group), 14, INK) + "\n"
    x, y = face.place(lit)
    for other in filter(face.shows, kissed):
        to_x, to_y = face.place(other)
        yield (f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" stroke="{KISSED}" '
               'stroke-width="1.5"/>\n')
    yield from _dots(face, tokens, lit, set(kissed))
    for other in filter(face.shows, [*kissed, lit]):
        at_x, at_y = face.place(other)
        yield _label(at_x, at_y - 8, tokens.text(other), 11, INK) + "\n"
    yield _label(face.middle, height - 42, _summary(face, tokens), 13, INK) + "\n"
    yield _label(face.middle, height - 22, f"lit: {tokens.text(lit)}, token {lit:,}, at ring "
                 f"{lit // symmetry}, group {lit % symmetry}, and "
                 + count(len(kissed), "kissing neighbour"), 13, INK) + "\n</svg>\n"


def _dots(face: _Face, tokens: Tokens, lit: int, kissed: set[int]) -> Iterator[str]:
    end = min(tokens.vocabulary, face.last * face.symmetry)
    most = 0 if tokens.counts is None else int(tokens.counts.max(initial=0))
    for token in range(face.first * face.symmetry, end):
        x, y = face.place(token)
        colour = LIT if token == lit else KISSED if token in kissed else INK
        size, said = 5.0, f"{tokens.text(token)}: token {token}"
        if tokens.counts is not None:
            times = int(tokens.counts[token])
            size = 2 + 7 * math.log1p(times) / math.log1p(max(most, 1))
            said += f", {count(times, 'time')}"
        yield (f'<circle cx="{x}" cy="{y}" r="{size:.1f}" fill="{colour}">'
               f"<title>{escape(said)}</title></circle>\n")


def _summary(face: _Face, tokens: Tokens) -> str:
    shown = ("" if face.last - face.first == face.rings else
             f", of which {face.first} to {face.last - 1} are shown")
    sizes = ", the larger a dot the more often its token comes" if tokens.counts is not None else ""
    return (f"{count(tokens.vocabulary, 'token')} on {count(face.rings, 'ring')} of "
            f"{face.symmetry}{shown}{sizes}")
