"""Files that commands write: checked before the work, and never over another unless asked to."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import cllm


def output_file(asked: Path, name: str, *, force: bool, option: str = "--out") -> Path:
    """The file to write: the one that is asked for or, in a folder, one of this name.

    Raises InputError when there is such a file and `force` is off, and when it cannot be written.
    """
    file = asked / name if asked.is_dir() else asked
    if file.is_dir():
        raise cllm.InputError(f"{option}: not a file: got {file}, a folder, expected a name for a "
                              "file")
    if os.path.lexists(file) and not _is_stream(file) and not force:
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
