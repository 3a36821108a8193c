"""What became of the examples: how many, how many tokens, what was cut or dropped and where."""

from collections import Counter
from dataclasses import dataclass, field

from cllm.chat.encode import Encoded
from cllm.chat.example import Dropped


@dataclass
class Found:
    """How often something was found, and the first example of it."""

    number: int
    where: str
    detail: str = ""

    @property
    def first(self) -> str:
        """Where the first example of it is and, where more is known, what it has."""
        return f"{self.where}: {self.detail}" if self.detail else self.where


@dataclass
class Counts:
    examples: int = 0  # that were read
    kept: int = 0
    tokens: int = 0  # of those that were kept, cut as they are
    trained: int = 0  # tokens that are predicted
    longest: int = 0  # tokens, before it was cut
    cut_tokens: int = 0
    replaced: int = 0  # undecodable places
    dropped: dict[str, Found] = field(default_factory=dict)
    notes: dict[str, Found] = field(default_factory=dict)  # of examples that were kept
    ends: Counter[int] = field(default_factory=Counter)  # the tokens that end answers

    def drop(self, why: Dropped, where: str) -> None:
        _count(self.dropped, why.reason, where, why.detail)

    def keep(self, example: Encoded) -> None:
        whole = len(example.tokens.ids)
        self.kept += 1
        self.tokens += len(example.ids)
        self.trained += int(example.trained[1:].sum())
        self.longest = max(self.longest, whole)
        self.cut_tokens += whole - len(example.ids)
        self.ends.update(example.ends)
        for note in dict.fromkeys(example.notes):
            _count(self.notes, note, example.where)


def _count(found: dict[str, Found], what: str, where: str, detail: str = "") -> None:
    found.setdefault(what, Found(0, where, detail)).number += 1
