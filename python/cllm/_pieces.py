"""The text of tokens as they come, up to a stop string."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cllm import _cllm

if TYPE_CHECKING:
    from cllm._tokenizer import TextTokenizer


class Pieces:
    """Tells a listener the text of tokens as soon as it is certain, up to a stop string."""

    def __init__(self, tokenizer: TextTokenizer, on_token: Callable[[bytes], object] | None,
                 stops: list[bytes]) -> None:
        self._tokenizer = tokenizer
        self._on_token = on_token
        self._listens = on_token is not None or bool(stops)
        self._stop = _cllm.StopText(stops)
        # A token's text may depend on the one before it, as a space does, and on no earlier ones:
        # so the last tokens that were taken stay, and the work for each does not grow.
        self._ids: list[int] = []
        self._taken = 0  # of them
        self._known = ""  # the text of those
        self._length = 0  # of all text that was taken
        self._shown = b""

    def add(self, token: int) -> bool:
        """Whether to go on."""
        if not self._listens:
            return True
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids)
        if text.endswith("\ufffd"):  # a character may be cut
            return True
        more = text[len(self._known):]
        self._ids, self._taken = self._ids[self._taken:], len(self._ids) - self._taken
        self._known = self._tokenizer.decode(self._ids)
        return self._take(more)

    def finish(self, ids: list[int]) -> bytes:
        """Takes all ids and returns all of the text."""
        if not self._stop.is_over:
            self._take(self._tokenizer.decode(ids)[self._length:])
            self._show(self._stop.finish())
        return self._shown

    def _take(self, more: str) -> bool:
        self._length += len(more)
        return self._show(self._stop.add(more.encode())) and not self._stop.is_over

    def _show(self, piece: bytes) -> bool:
        self._shown += piece
        return not piece or self._on_token is None or self._on_token(piece) is not False
