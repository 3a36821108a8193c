"""Files that commands write: checked before the work, and never over another unless asked to.

What a command draws again whenever it is asked (drawn()) ends in a seal, so that it may be replaced
as long as nobody else has changed it."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import cllm

SEAL = "<!-- drawn by cllm: SHA-256 of what is above {} -->\n"  # of XML
SEAL_SIZE = len(SEAL.format("0" * 64))


def drawn(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of an XML file, and its seal."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece.encode())
        yield piece
    yield SEAL.format(digest.hexdigest())


def _is_drawn(file: Path) -> bool:
    """Whether it is, byte by byte, what a command made of drawn()."""
    if file.is_symlink() or not file.is_file():
        return False
    try:
        with file.open("rb") as opened:
            left = opened.seek(0, os.SEEK_END) - SEAL_SIZE
            if left < 0:
                return False
            opened.seek(left)
            seal = opened.read()
            if not seal.startswith(SEAL.partition("{}")[0].encode()):
                return False  # before all of a large file is read
            opened.seek(0)
            digest = hashlib.sha256()
            while left > 0 and (part := opened.read(min(left, 1 << 20))):
                digest.update(part)
                left -= len(part)
    except OSError:
        return False
    return seal == SEAL.format(digest.hexdigest()).encode()


def output_file(asked: Path, name: str, *, force: bool, option: str = "--out",
                redraws: bool = False) -> Path:
    """The file to write: the one that is asked for or, in a folder, one of this name.

    Raises InputError when there is such a file and `force` is off, unless `redraws` is on and it is
    as drawn() left it, and when it cannot be written.
    """
    file = asked / name if asked.is_dir() else asked
    if file.is_dir():
        raise cllm.InputError(f"{option}: not a file: got {file}, a folder, expected a name for a "
                              "file")
    free = force or not os.path.lexists(file) or _is_stream(file)
    if not free and not (redraws and _is_drawn(file)):
        raise cllm.InputError(f"{option}: would be overwritten: got {file}, expected a new name "
                              "(or --force)")
    try:
        if _is_stream(file):
            os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))
        else:
            folder = next(f for f in file.absolute().parents if f.exists())
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise cllm.InputError(f"{option}: cannot be written: got {file}, {error.strerror}"
                              ) from None
    return file


def write(file: Path, pieces: str | Iterable[str]) -> int:
    """Complete or not at all, because another program may be reading it. Returns the bytes."""
    pieces = [pieces] if isinstance(pieces, str) else pieces
    if _is_stream(file):
        return _write_pieces(file, pieces)
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        size = _write_pieces(beside, pieces)
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return size


def _write_pieces(file: Path, pieces: Iterable[str]) -> int:
    with file.open("wb") as opened:
        return sum(opened.write(piece.encode()) for piece in pieces)


def _is_stream(file: Path) -> bool:
    """Whether it is a terminal, a pipe or a device, which are written to and not replaced."""
    return file.exists() and not file.is_file() and not file.is_dir()
