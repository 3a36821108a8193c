"""A model's bits per byte on windows of equally many bytes, the same ones for every tokenizer.

Each document is cut on its own, by its text alone, and each window is scored whole and as if it
were a text of its own: models of different tokenizers and contexts are asked for the same bytes
after the same bytes. A window that is longer than the model's context goes through it in parts that
overlap by half, so that no token has less than half a context before it, other than at the begin.
"""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cllm
from cllm._likelihood import Progress, Window, check_ids, encoder, log_likelihoods, windows_of
from cllm._words import count
from cllm.prepare.inputs import find_files
from cllm.prepare.readers import Chunks, InputFile, Reading
from cllm.token_files import DESCRIPTION, DataSet

LEAST, MOST = 16, 1 << 20  # bytes of a window
_TOKENS = (".bin", ".npy")


@dataclass(frozen=True)
class Report:
    sizes: list[int]  # bytes of each window
    bits: list[float]  # of each window, a byte
    tokens: int
    total: int  # windows there are

    @property
    def bits_per_byte(self) -> float:
        return sum(map(float.__mul__, self.bits, map(float, self.sizes))) / sum(self.sizes)

    @property
    def error(self) -> float | None:
        """The standard error of bits_per_byte, from how windows differ."""
        n, mean = len(self.sizes), self.bits_per_byte
        if n < 2:
            return None
        off = sum((size * (bits - mean)) ** 2
                  for size, bits in zip(self.sizes, self.bits, strict=True))
        return math.sqrt(off * n / (n - 1)) / sum(self.sizes)


def _of_data_set(path: str) -> Chunks:
    data = DataSet(path)
    size = 0
    for tokens in data.documents("val"):
        text = data.decode(tokens)
        size += len(text.encode())
        yield text, True
    wanted = data.description["val"]["text_bytes"]
    if size != wanted:
        raise cllm.InputError(f"{path}: its tokenizer does not give the text back as it was: got "
                              f"{size} bytes, expected {wanted} (evaluate on the text itself)")


def _chunks(path: str) -> Chunks:
    """The text of a path: pieces, and whether a document ends with each."""
    if os.path.exists(os.path.join(path, DESCRIPTION)):
        yield from _of_data_set(path)
        return
    for name in find_files([path]):
        if name.endswith(_TOKENS):
            raise cllm.InputError(f"{name}: tokens are no text: expected text or a data set")
        yield from InputFile(name, Reading()).chunks()


def cut(text: bytes, size: int) -> int:
    """Where a window of at most `size` bytes ends in a longer text: before a space or line feed,
    where one is in its last quarter, because tokens begin there; else between characters."""
    end = size
    while text[end] & 0xC0 == 0x80:
        end -= 1
    least = end - size // 4
    return max(text.rfind(b" ", least, end), text.rfind(b"\n", least, end), 0) or end


def windows(path: str, size: int) -> Iterator[str]:
    """The windows of every document; the last of one may be shorter."""
    rest = b""
    for chunk, ends in _chunks(path):
        rest += chunk.encode()
        begin = 0
        while len(rest) - begin > size:
            end = begin + cut(rest[begin:begin + size + 1], size)
            yield rest[begin:end].decode()
            begin = end
        rest = rest[begin:]
        if ends and rest:
            yield rest.decode()
            rest = b""


def evaluate(model: cllm.Model, path: str, size: int, most: int | None,
             begin: Callable[[int], Progress]) -> Report:
    """Scores the windows of a path, or `most` of them that are spread evenly. `begin` is told how
    much there is to do, and what it returns how much of it was done."""
    found = list(windows(path, size))
    if not found:
        raise cllm.InputError(f"{path}: no text to evaluate")
    total = len(found)
    if most is not None and most < total:
        found = [found[(2 * i + 1) * total // (2 * most)] for i in range(most)]
    encode, start = encoder(model)
    parts: list[Window] = []
    tokens = 0
    for row, text in enumerate(found):
        ids = encode(text)
        check_ids(model, ids, path)
        tokens += len(ids)
        parts += windows_of(start[-1:] + ids, len(ids), model.config.seq, row)
    if not parts:
        raise cllm.InputError(f"{path}: too little to evaluate: got {count(tokens, 'token')}, "
                              f"expected at least {2 - len(start[-1:])} in one of "
                              f"{count(len(found), 'window')}")
    likely = log_likelihoods(model, parts, len(found), begin(len(parts)))
    sizes = [len(text.encode()) for text in found]
    return Report(sizes, [-float(sum_) / math.log(2) / bytes_
                          for sum_, bytes_ in zip(likely, sizes, strict=True)], tokens, total)
