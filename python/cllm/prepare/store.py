"""The files of a data set while they are made: what was written before an interruption stays.

All of them are in the work folder."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from cllm._cllm import TokenWriter
from cllm.token_files import MARKS

SHARD = 1 << 27  # tokens after which a new file begins
PIECE = 1 << 20  # tokens copied at once


def write_durably(path: Path, content: bytes) -> None:
    """The file appears whole or not at all, also when the power is cut."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any, indent: int | None = 2) -> None:
    write_durably(path, (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode(
        "utf-8", "surrogateescape"))


@dataclass
class Shard:
    file: str
    tokens: int
    text_bytes: int


@dataclass
class Progress:
    """How far a part has come: its finished files, and what the unfinished one holds."""

    shards: list[Shard] = field(default_factory=list)
    tokens: int = 0  # of the unfinished file
    text_bytes: int = 0  # of the unfinished file
    documents: int = 0

    def all_tokens(self) -> int:
        return self.tokens + sum(shard.tokens for shard in self.shards)

    def all_bytes(self) -> int:
        return self.text_bytes + sum(shard.text_bytes for shard in self.shards)

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(state: dict[str, Any]) -> "Progress":
        return Progress(**{**state, "shards": [Shard(**shard) for shard in state["shards"]]})


class Part:
    """The training or the validation tokens: whole files, and one that grows in the work folder.
    `progress` is what may be relied on after a sync()."""

    GROWING, WHOLE, STARTS = "tokens", "bin", "starts"  # how its files are called

    def __init__(self, work: Path, name: str, vocabulary: int, sha256: bytes,
                 progress: Progress) -> None:
        self._work, self.name = work, name
        self._vocabulary, self._sha256 = vocabulary, sha256
        self.width = 2 if vocabulary <= 65536 else 4
        self._type = f"<u{self.width}"
        self.progress = progress
        self._raw = self._opened(self._growing(), progress.tokens * self.width)
        self._starts = self._opened(work / f"{name}.{self.STARTS}", progress.documents * 8)

    def _growing(self) -> Path:
        """A name of its own for every file, so that what an older state counts on stays."""
        return self._work / f"{self.name}-{len(self.progress.shards):05}.{self.GROWING}"

    @staticmethod
    def _opened(path: Path, size: int) -> Any:
        """The file with its first `size` bytes; what came after them is done again."""
        file = path.open("r+b" if path.exists() else "w+b")
        file.truncate(size)
        file.seek(size)
        return file

    def append(self, tokens: NDArray[numpy.int32], starts: NDArray[numpy.int64],
               text_bytes: int) -> None:
        """Adds tokens; `starts` says at which of them documents begin."""
        at = self.progress.all_tokens()
        self._raw.write(tokens.astype(self._type).tobytes())
        self._starts.write((starts + at).astype("<u8").tobytes())
        self.progress.tokens += len(tokens)
        self.progress.text_bytes += text_bytes
        self.progress.documents += len(starts)
        if self.progress.tokens >= SHARD:
            self.seal()

    def sync(self) -> None:
        for file in (self._raw, self._starts):
            file.flush()
            os.fsync(file.fileno())

    def seal(self) -> None:
        """Makes a token file of what has grown, and begins the next."""
        progress = self.progress
        if not progress.tokens:
            return
        name = f"{self.name}-{len(progress.shards):05}.{self.WHOLE}"
        writer = TokenWriter(self._work / name, vocabulary=self._vocabulary, width=self.width,
                             tokenizer=self._sha256)
        self._raw.flush()
        self._raw.seek(0)
        for begin in range(0, progress.tokens, PIECE):
            count = min(PIECE, progress.tokens - begin)
            piece = numpy.frombuffer(self._raw.read(count * self.width), self._type)
            writer.append(piece.astype(numpy.int32))
        writer.finish(text_bytes=progress.text_bytes)
        progress.shards.append(Shard(name, progress.tokens, progress.text_bytes))
        progress.tokens = progress.text_bytes = 0
        self._raw.close()
        self._raw = self._opened(self._growing(), 0)

    def forget(self) -> None:
        """Removes what finished files were made of. The saved state must know of those files."""
        for path in self._work.glob(f"{self.name}-*.{self.GROWING}"):
            if path != self._growing():
                path.unlink()

    def write_starts(self) -> str | None:
        """Writes the document starts as a file of NumPy."""
        if not self.progress.documents:
            return None
        name = f"{self.name}-documents.npy"
        self._starts.flush()
        self._starts.seek(0)
        partial = self._work / (name + ".partial")
        with partial.open("wb") as file:
            numpy.lib.format.write_array_header_1_0(file, {
                "descr": "<u8", "fortran_order": False, "shape": (self.progress.documents,)})
            while block := self._starts.read(1 << 20):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._work / name)
        sync_folder(self._work)
        return name

    def close(self) -> None:
        self._raw.close()
        self._starts.close()


class Marks(Part):
    """What each token of a part of examples is, in files beside those of the tokens."""

    GROWING, WHOLE, STARTS = "growing", "marks", "begins"

    def __init__(self, work: Path, name: str, sha256: bytes) -> None:
        super().__init__(work, name, MARKS, sha256, Progress())
