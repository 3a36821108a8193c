"""The first reading of all inputs counts, hashes documents, and decides which of them validate."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from cllm._cllm import InputError
from cllm._words import flag
from cllm.prepare.readers import InputFile, Reading

FEW = 4096  # documents that are chosen one by one; of more, a fraction is chosen by hash
TRAIN, VALIDATE, LEFT_OUT, CUT = 0, 1, 2, 3  # CUT: its begin trains, its end validates


@dataclass
class Source:
    """What is known of one input file after it was read."""

    path: str
    validates: bool
    size: int = 0
    changed: int = 0  # ns
    sha256: str = ""
    documents: int = 0
    characters: int = 0
    text_bytes: int = 0
    replaced: int = 0
    alphabet: str = ""


def stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return status.st_size, status.st_mtime_ns


def has_changed(source: Source) -> bool:
    return stamp(source.path) != (source.size, source.changed)


def check_unchanged(source: Source) -> None:
    if has_changed(source):
        raise InputError(f"{source.path}: changed since it was first read: expected a file that "
                         f"stays as it is ({flag('force')} begins anew)")


def _digest(hasher: Any) -> int:
    return int.from_bytes(hasher.digest(), "little")


def scan_file(source: Source, reading: Reading, hashes: list[int], wants_alphabet: bool,
              progress: Callable[[int], None]) -> None:
    """Fills in what is known of the file and appends a hash and a size for every document."""
    source.size, source.changed = stamp(source.path)
    with open(source.path, "rb") as raw:
        source.sha256 = hashlib.file_digest(raw, "sha256").hexdigest()
    file = InputFile(source.path, reading)
    hasher, size = hashlib.blake2b(digest_size=8), 0
    alphabet: set[str] = set()
    for text, ends in file.chunks():
        encoded = text.encode()
        hasher.update(encoded)
        size += len(encoded)
        source.characters += len(text)
        if wants_alphabet:
            alphabet.update(text)
        if ends and size:
            hashes += (_digest(hasher), size)
            source.documents += 1
            source.text_bytes += size
        if ends:
            hasher, size = hashlib.blake2b(digest_size=8), 0
        progress(file.position())
    source.replaced = file.replaced()
    source.alphabet = "".join(sorted(alphabet))
    check_unchanged(source)


@dataclass
class Choice:
    """Which documents validate. Equal texts have equal hashes, so none is in both parts."""

    below: int = 0  # hashes below it
    chosen: list[int] = field(default_factory=list)
    cut: int | None = None  # this document alone, from byte `cut_at` on
    cut_at: int = 0

    def part_of(self, hashed: int, validates: bool, held: NDArray[numpy.uint64]) -> int:
        if validates:
            return VALIDATE
        if len(held):
            at = int(numpy.searchsorted(held, numpy.uint64(hashed)))
            return LEFT_OUT if at < len(held) and int(held[at]) == hashed else TRAIN
        if hashed == self.cut:
            return CUT
        return VALIDATE if hashed < self.below or hashed in self.chosen else TRAIN

    def state(self) -> dict[str, Any]:
        return asdict(self)


def choose(rows: NDArray[numpy.uint64], fraction: float) -> Choice:
    """Documents of about `fraction` of the bytes; rows are (hash, bytes). Where each document has
    more than twice that, the end of the largest one validates."""
    if fraction <= 0:
        return Choice()
    if len(rows) > FEW:
        return Choice(below=int(fraction * 2**64))
    sizes: dict[int, int] = {}
    copies: dict[int, int] = {}
    for hashed, size in rows.tolist():
        sizes[hashed] = sizes.get(hashed, 0) + size
        copies[hashed] = copies.get(hashed, 0) + 1
    wanted = fraction * sum(sizes.values())
    chosen: list[int] = []
    total = 0
    for hashed in sorted(sizes):
        if total + sizes[hashed] / 2 <= wanted and len(chosen) < len(sizes) - 1:
            chosen.append(hashed)
            total += sizes[hashed]
    if chosen:
        return Choice(chosen=chosen)
    single = [hashed for hashed in sizes if copies[hashed] == 1]  # a copy would train on its end
    if single:
        cut = max(single, key=lambda hashed: (sizes[hashed], hashed))
        return Choice(cut=cut, cut_at=int(sizes[cut] - wanted))
    if len(sizes) == 1:
        return Choice()
    return Choice(chosen=[min(sizes, key=lambda hashed: (sizes[hashed], hashed))])


def rows_of(path: Path, first: int = 0, count: int = -1) -> NDArray[numpy.uint64]:
    """(hash, bytes) of documents first, first + 1..., as the scan wrote them."""
    flat = numpy.fromfile(path, "<u8", count if count < 0 else 2 * count, offset=16 * first)
    return flat.reshape(-1, 2)


def parts_of(path: Path, first: int, source: Source, choice: Choice,
             held: NDArray[numpy.uint64]) -> Iterator[int]:
    """The part of every document of a source, whose rows begin at `first`."""
    for begin in range(0, source.documents, 8192):
        count = min(8192, source.documents - begin)
        for hashed, _ in rows_of(path, first + begin, count).tolist():
            yield choice.part_of(hashed, source.validates, held)
