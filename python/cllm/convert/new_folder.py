"""A model folder appears whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cllm._cllm import InputError
from cllm._words import flag
from cllm.prepare.store import sync_folder
from cllm.prepare.tokenizers import FILES

# What may be in a folder that is replaced.
_OURS = {"config.json", "generation_config.json", "model.safetensors", "manifest.json", *FILES}


def check_new_folder(out: Path, *, force: bool) -> None:
    """Raises InputError unless a model may be written there: a new folder, an empty one or, with
    `force`, one that holds a model and nothing else."""
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise InputError(f"{out}: is a file: expected a folder, or a name for a new one")
    others = sorted({entry.name for entry in out.iterdir()} - _OURS)
    if others:
        raise InputError(f"{out}: holds something else: got {others[0]}, expected a new folder")
    if any(out.iterdir()) and not force:
        raise InputError(f"{out}: already holds a model: expected a new folder, or "
                         f"{flag('force')} to replace it")


@contextmanager
def new_folder(out: Path, *, force: bool) -> Iterator[Path]:
    """A hidden folder to write in, which takes the place of `out` at the end. Where anything fails,
    what was there is there as it was."""
    check_new_folder(out, force=force)
    place = Path(os.path.realpath(out))  # a link stays one
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = _beside(place)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        raise InputError(f"{out}: cannot be written: {error.strerror}: expected a folder to write "
                         "in") from None
    try:
        partial.chmod(0o777 & ~_umask())
        yield partial
        sync_folder(partial)
        check_new_folder(out, force=force)  # meanwhile something may have come
        _put(partial, place)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _beside(place: Path) -> Path:
    """A new hidden folder."""
    return Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))


def _put(partial: Path, place: Path) -> None:
    """Renames a folder to a name that another one may have, which is moved aside and, once the new
    one has its name for good, removed."""
    if not place.exists():
        partial.replace(place)
        sync_folder(place.parent)
        return
    old = _beside(place)
    try:
        place.replace(old)
        partial.replace(place)
        sync_folder(place.parent)
    except BaseException:
        if not partial.exists():
            place.replace(partial)
        if place.exists():
            old.rmdir()
        else:
            old.replace(place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
