"""Signals that ask a run to stop are heard by Python too while it has a model answer."""

from __future__ import annotations

import ctypes
import signal
import threading
from typing import Any, Self

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU)
_ACTION = 512  # bytes, more than any system's struct sigaction


class StopSignals:
    """Keeps signals inside a `with`, and then hands them to whom they would have reached.

    That is the engine (catch_stop_signals), of whose handlers Python neither hears nor can put them
    back; so the C library does that. A signal is lost at no time: where one handler is put in the
    other's place, either one hears it.
    """

    def __init__(self) -> None:
        self.came: list[int] = []
        """Those that came since the `with` began."""
        self._inside = False
        self._library = ctypes.CDLL(None)
        self._actions: dict[int, Any] = {}  # of the C library, to be put back
        self._handlers: dict[int, Any] = {}  # of Python, before the first `with`

    def __enter__(self) -> Self:
        self._inside = True
        if threading.current_thread() is threading.main_thread():  # Python hears them there
            for number in _ASKING:
                self._keep(number)
        return self

    def __exit__(self, *error: object) -> None:
        while self._actions:
            self._library.sigaction(*self._actions.popitem(), None)
        self._inside = False
        while self.came:
            signal.raise_signal(self.came.pop(0))

    def _keep(self, number: int) -> None:
        handler, action = signal.getsignal(number), ctypes.create_string_buffer(_ACTION)
        # One that the program was started to ignore stays ignored.
        if handler is signal.SIG_IGN or self._library.sigaction(number, None, action):
            return
        self._actions[number] = action
        self._handlers.setdefault(number, handler)
        signal.signal(number, self._hear)

    def _hear(self, number: int, frame: Any) -> None:
        """Python has this handler from the first `with` on; outside it is asked only where Python's
        own would have been."""
        if self._inside:
            self.came.append(number)
        elif callable(handler := self._handlers[number]):
            handler(number, frame)
