"""How likely a model finds tokens, window by window: what answers and whole texts are judged by."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import cllm

Encode = Callable[[str], list[int]]
Progress = Callable[[int], None]

_LOGITS = 1 << 27  # bytes of logits at once
_MOST_ROWS = 256
_STEP = 32  # tokens by which windows are made equally long


def encoder(model: cllm.Model) -> tuple[Encode, list[int]]:
    """How the model's text becomes tokens, and what stands before a text."""
    encode: Encode
    if model.byte_tokens:
        def encode(text: str) -> list[int]:
            return list(text.encode())
    else:
        tokenizer = model._text_tokenizer()

        def encode(text: str) -> list[int]:
            ids: list[int] = tokenizer.ids_of([text])[0].tolist()
            return ids
    return encode, list(model.end_tokens[:1]) or encode("\n")


def check_ids(model: cllm.Model, tokens: list[int], where: str) -> None:
    """Raises InputError, which says where, for a token that the model does not have."""
    bad = max(tokens, default=0)
    if bad >= model.config.vocab:
        raise cllm.InputError(f"{where}: the tokenizer is not the model's: got token {bad}, "
                              f"expected below {model.config.vocab}")


class Window(NamedTuple):
    """A model sees all but the last of these tokens; the last `targets` are predicted."""

    tokens: list[int]
    targets: int
    row: int  # which sum they belong to


def windows_of(tokens: list[int], targets: int, length: int, row: int) -> Iterator[Window]:
    """What a model of a context of `length` tokens has to see. A long context is cut from the left;
    more targets than fit are predicted by halves of the model's context, each after the half before
    it. The first token is no target, because nothing comes before it; without targets there is
    nothing to see."""
    targets = min(targets, len(tokens) - 1)
    if targets < 1:
        return
    step = targets if targets <= length else max(length // 2, 1)
    for at in range(len(tokens) - targets, len(tokens), step):
        end = min(at + step, len(tokens))
        yield Window(tokens[max(end - length - 1, 0):end], end - at, row)


def _sums(logits: NDArray[np.float32], window: Window) -> float:
    """The log-likelihood of the window's targets. logits[T, V']."""
    end = len(window.tokens) - 1
    rows = logits[end - window.targets:end]
    top = rows.max(axis=-1)
    norm = top + np.log(np.exp(rows - top[:, None]).sum(axis=-1))
    chosen = rows[np.arange(window.targets), window.tokens[-window.targets:]]
    return float((chosen.astype(np.float64) - norm).sum())


def log_likelihoods(model: cllm.Model, windows: list[Window], rows: int,
                    progress: Progress) -> NDArray[np.float64]:
    """The sum over the windows of each row, 0 to rows - 1. Windows of nearly the same length
    go through the model together."""
    length, vocabulary = model.config.seq, model.config.vocab

    def rounded(window: Window) -> int:
        return min(length, -(-(len(window.tokens) - 1) // _STEP) * _STEP)

    found = np.zeros(rows)
    for columns, group in groupby(sorted(windows, key=rounded, reverse=True), rounded):
        some = list(group)
        most = max(1, min(_MOST_ROWS, _LOGITS // (4 * columns * vocabulary), len(some)))
        inputs = np.zeros((most, columns), np.int32)
        for first in range(0, len(some), most):
            batch = some[first:first + most]
            inputs[:] = 0
            for i, window in enumerate(batch):
                inputs[i, :len(window.tokens) - 1] = window.tokens[:-1]
            logits = model.logits(inputs)
            with np.errstate(invalid="ignore"):  # seen once all are summed
                for i, window in enumerate(batch):
                    found[window.row] += _sums(logits[i], window)
            progress(len(batch))
    if not np.isfinite(found).all():
        raise cllm.CllmError("the model's answers are no numbers: got nan, expected finite logits "
                             "(has its training diverged?)")
    return found
