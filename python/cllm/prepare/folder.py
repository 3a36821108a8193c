"""The folder of a data set: one process at a time works in it, in a hidden folder, and what was
made there appears at the end."""

import errno
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from cllm._cllm import InputError
from cllm._words import flag
from cllm.prepare.store import sync_folder, write_durably
from cllm.token_files import DESCRIPTION, file_names, read_description

WORK, LOCK, STATE = ".prepare", "lock", "state.json"


class Folder:
    """A data set's folder while this process works in it; leaving the context gives it free."""

    def __init__(self, out: Path, *, force: bool, wait: Callable[[], None] | None = None) -> None:
        """While another process works there `wait` is called before each new try; without it, that
        is an error."""
        self.out, self.work = out, out / WORK
        self.force = force
        self._created: list[Path] = []  # by this process, the innermost first
        while not self._take():
            if wait is None:
                raise InputError(f"{out}: another prepare works in this folder: expected one at a "
                                 "time")
            wait()
        self.is_new = not self.state.exists() and not self.made.exists()

    def _take(self) -> bool:
        """Whether the folder is this process's from now on."""
        self._check()
        missing: list[Path] = []
        for folder in (self.work, *self.work.parents):
            if os.path.lexists(folder):
                break
            missing.append(folder)
        self._created = missing or self._created
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            self._lock = (self.work / LOCK).open("wb")
        except OSError as error:
            self._remove_created()
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            raise InputError(f"{self.out}: cannot be written: {error.strerror}: expected a folder "
                             "to write in") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_ours():
                return True  # otherwise the other one has just finished
        except BlockingIOError:
            pass
        self._lock.close()
        return False

    @property
    def state(self) -> Path:
        """What an interrupted work goes on from."""
        return self.work / STATE

    @property
    def made(self) -> Path:
        """The description, written when all files of the data set are in the work folder."""
        return self.work / DESCRIPTION

    def _is_published(self) -> bool:
        here = self.out / DESCRIPTION
        return (here.exists() and self.made.exists()
                and here.read_bytes() == self.made.read_bytes())

    def _check(self) -> None:
        out = self.out
        if os.path.lexists(out) and not out.is_dir():
            raise InputError(f"{out}: is a file: expected a folder, or a name for a new one")
        if (out / DESCRIPTION).exists():
            if self.force:
                read_description(out)  # nothing but a data set is replaced
            elif not self._is_published():
                raise InputError(f"{out}: already holds a data set: expected a new folder, or "
                                 f"{flag('force')} to replace it")
        elif not self.work.exists() and out.is_dir() and any(out.iterdir()):
            raise InputError(f"{out}: is not empty and holds no data set: expected a new folder")

    def _is_ours(self) -> bool:
        """Whether the locked file is the one that others find."""
        try:
            return os.path.samestat(os.fstat(self._lock.fileno()), os.stat(self.work / LOCK))
        except FileNotFoundError:
            return False

    def publish(self) -> None:
        """Moves the data set to its place. Interrupted anywhere, it can be done again; until the
        description appears, the folder holds no data set."""
        content = self.made.read_bytes()
        here, replaced = self.out / DESCRIPTION, self.work / "replaced.json"
        if not self._is_published():
            if here.exists():
                here.replace(replaced)
                sync_folder(self.out)
                sync_folder(self.work)
            if replaced.exists():
                for name in file_names(json.loads(replaced.read_bytes())):
                    (self.out / name).unlink(missing_ok=True)
                sync_folder(self.out)
                replaced.unlink()
                sync_folder(self.work)  # or a power cut would bring it back to remove what is new
            for name in file_names(json.loads(content)):
                if (self.work / name).exists():
                    (self.work / name).replace(self.out / name)
            sync_folder(self.out)
            copy = self.work / "copy.json"
            write_durably(copy, content)
            copy.replace(here)
            sync_folder(self.out)

    def clear(self) -> None:
        """Removes all that was made here; what says that it was whole goes last."""
        if not self._is_published():
            self.made.unlink(missing_ok=True)
        for path in sorted(self.work.iterdir(), key=lambda path: path.name == DESCRIPTION):
            if path.name != LOCK:
                path.unlink()

    def remove(self) -> None:
        """Removes the work folder."""
        self.clear()
        (self.work / LOCK).unlink()
        self._remove_created(self.work)

    def _remove_created(self, *folders: Path) -> None:
        for folder in folders or self._created:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:  # somebody uses it
                return

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        try:
            if isinstance(error, InputError) and self.is_new:  # nothing is left of bad input
                self.remove()
                self._remove_created(*self._created)
        finally:
            self._lock.close()

    def description(self) -> dict[str, Any]:
        return read_description(self.out)
