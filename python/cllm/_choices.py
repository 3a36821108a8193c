"""Questions with several answers: a model takes the answer that it finds most likely.

Prompts, likelihoods and scores are those of lm-evaluation-harness: a space stands between context
and choice, `acc` compares log-likelihoods, `acc_norm` divides them by the characters of the choice,
`acc_bytes` by its bytes.
"""

import gzip
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import cllm
from cllm import InputError
from cllm import _words as words
from cllm._likelihood import (
    Encode,
    Progress,
    Window,
    check_ids,
    encoder,
    log_likelihoods,
    windows_of,
)

_CONTEXT = ("context", "question", "query", "prompt")
_LABEL = ("label", "answer", "gold")
_LONGEST_LINE = 1 << 24  # bytes


# -- questions ----------------------------------------------------------------------------------

@dataclass(frozen=True)
class Question:
    where: str  # for messages
    context: str
    choices: tuple[str, ...]
    label: int


def _one_of(record: dict[str, Any], names: tuple[str, ...], where: str) -> Any:
    there = [name for name in names if name in record]
    if len(there) != 1:
        seen = " and ".join(there) or words.names(record) or "no fields"
        raise InputError(f"{where}: got {seen}, expected one of {', '.join(names)}")
    return record[there[0]]


def question_of(record: Any, where: str) -> Question:
    """Checks a line's content. Raises InputError, which says where it stands."""
    if not isinstance(record, dict):
        raise InputError(f"{where}: got {type(record).__name__}, expected an object with context, "
                         "choices and label")
    context, choices = _one_of(record, _CONTEXT, where), record.get("choices")
    label = _one_of(record, _LABEL, where)
    if not isinstance(context, str):
        raise InputError(f"{where}: context: got {type(context).__name__}, expected a text")
    if not isinstance(choices, list) or len(choices) < 2:
        seen = f"{len(choices)} of them" if isinstance(choices, list) else json.dumps(choices)[:40]
        raise InputError(f"{where}: choices: got {seen}, expected a list of at least 2 texts")
    for i, choice in enumerate(choices):
        if not isinstance(choice, str) or not choice:
            raise InputError(f"{where}: choices[{i}]: got {json.dumps(choice)[:40]}, expected a "
                             "text that is not empty")
    try:
        "".join((context, *choices)).encode()
    except UnicodeEncodeError:
        raise InputError(f"{where}: half a character (a lone surrogate): expected text") from None
    if isinstance(label, str) and label.isascii() and label.isdecimal():  # as in HellaSwag
        label = int(label[:9])
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(choices):
        raise InputError(f"{where}: label: got {json.dumps(label)[:40]}, expected the number of a "
                         f"choice, 0 to {len(choices) - 1}")
    return Question(where, context, tuple(choices), label)


def questions_of(lines: Iterable[bytes | str], name: str) -> Iterator[Question]:
    for number, line in enumerate(lines, 1):
        where = f"{name}: line {number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: no JSON: got {error}, expected one object a line"
                             ) from None
        yield question_of(record, where)


def read_questions(file: Path) -> Iterator[Question]:
    """The questions of a file with a JSON object a line, packed (.gz) or not."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
            yield from questions_of(_lines(opened, str(file)), str(file))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{file}: damaged or cut short: got {error}, expected a whole .gz"
                         ) from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from None


def _lines(opened: Any, name: str) -> Iterator[bytes]:
    number = 0
    while line := opened.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise InputError(f"{name}: line {number}: got more than {_LONGEST_LINE:,} bytes, "
                             "expected one question a line")
        yield line


# -- tokens -------------------------------------------------------------------------------------

def _pair(context: str, choice: str, encode: Encode, start: list[int]) -> tuple[list[int], int]:
    """Tokens of context and choice together, and how many of them are the context's. Spaces at the
    end of a context belong to the choice, because tokens begin with them. `start` stands for an
    empty context."""
    if context and not context[-1].isspace():
        choice = " " + choice
    words = context.rstrip()
    choice = context[len(words):] + choice
    before, whole = encode(words), encode(words + choice)
    if len(whole) <= len(before):  # the end of the context has become part of another token
        whole = before + encode(choice)
    if not before:
        return start + whole, len(start)
    return whole, len(before)


# -- scores -------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Score:
    """Part of the questions that were answered right, and its standard error."""

    value: float
    error: float | None

    @classmethod
    def of(cls, right: list[bool]) -> "Score":
        n, value = len(right), sum(right) / len(right)
        return cls(value, math.sqrt(value * (1 - value) / (n - 1)) if n > 1 else None)


@dataclass(frozen=True)
class Report:
    questions: int
    choices: int
    cut: int  # choices whose context did not fit into the model's
    scores: dict[str, Score]


LENGTHS: dict[str, Callable[[str], int]] = {
    "acc": lambda choice: 1, "acc_norm": len, "acc_bytes": lambda choice: len(choice.encode())}


def evaluate(model: cllm.Model, questions: list[Question],
             begin: Callable[[int], Progress]) -> Report:
    """Answers the questions. `begin` is told how much there is to do, and what it returns how much
    of it was done."""
    encode, start = encoder(model)
    windows: list[Window] = []
    firsts, rows, cut = [], 0, 0
    for question in questions:
        firsts.append(rows)
        for choice in question.choices:
            tokens, before = _pair(question.context, choice, encode, start)
            check_ids(model, tokens, question.where)
            if len(tokens) <= max(before, 1):
                raise InputError(f"{question.where}: an answer without tokens to predict: got "
                                 f"{words.shown(choice)}, expected text that the tokenizer keeps")
            cut += len(tokens) > model.config.seq + 1
            windows += windows_of(tokens, len(tokens) - before, model.config.seq, rows)
            rows += 1
    likely = log_likelihoods(model, windows, rows, begin(len(windows)))
    right: dict[str, list[bool]] = {name: [] for name in LENGTHS}
    for first, question in zip(firsts, questions, strict=True):
        scores = likely[first:first + len(question.choices)]
        for name, length in LENGTHS.items():
            sizes = [length(choice) for choice in question.choices]
            right[name].append(int(np.argmax(scores / sizes)) == question.label)
    return Report(len(questions), rows, cut,
                  {name: Score.of(answers) for name, answers in right.items()})
