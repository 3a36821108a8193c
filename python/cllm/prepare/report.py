"""What `cllm prepare` says while it works: how far it is, how fast, how long it will take."""

import sys
import time
from collections.abc import Callable

from cllm import _cllm, _notebook

LIVE, PLAIN = 0.2, 10.0  # seconds between two lines on a terminal and elsewhere


def _duration(seconds: float) -> str:
    whole = int(seconds + 0.5)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min" if whole < 7200 else (
        f"{whole // 3600} h {whole % 3600 // 60} min")


def _writer(progress: bool | None) -> Callable[[str], object] | None:
    """What takes the lines, on standard error; None when they are not wanted."""
    if progress is None:
        progress = sys.stderr is not None and (sys.stderr.isatty() or _notebook.is_here())
    if not progress or sys.stderr is None:
        return None
    return _cllm.write_to_stderr if sys.stderr is sys.__stderr__ else sys.stderr.write


class Report:
    """Lines for people; `progress` is as in prepare()."""

    def __init__(self, progress: bool | None) -> None:
        self._write = _writer(progress)
        self._terminal = self._write is not None and sys.stderr.isatty()
        self._live = self._terminal or (self._write is not None and _notebook.is_here())
        self._open = False  # a live line stands there
        self.stage("", 1)

    def say(self, line: str) -> None:
        if self._write is not None:
            self._clear()
            self._write(line + "\n")

    def stage(self, name: str, total: int, done: int = 0) -> None:
        self._name, self._total, self._first = name, max(total, 1), done
        self._begin = self._said = time.monotonic()

    def at(self, done: int) -> None:
        """Called often; says something when it is time."""
        now = time.monotonic()
        if self._write is None or now - self._said < (LIVE if self._live else PLAIN):
            return
        self._said = now
        rate = (done - self._first) / max(now - self._begin, 1e-9)
        line = f"{self._name}: {min(100, 100 * done // self._total)} %"
        if rate > 0:
            left = max(0, self._total - done) / rate
            line += f", {rate / 1e6:.1f} MB/s, {_duration(left)} left"
        if self._live:
            self._write(f"\r{line[:79]}\x1b[K" if self._terminal else f"\r{line[:79]:79}")
            self._open = True
        else:
            self._write(line + "\n")

    def _clear(self) -> None:
        if self._open and self._write is not None:
            self._write("\r\x1b[K" if self._terminal else f"\r{'':79}\r")
            self._open = False

    close = _clear
