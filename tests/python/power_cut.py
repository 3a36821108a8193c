"""A work that ends at any moment, as when the power is cut."""

from contextlib import contextmanager
from pathlib import Path

import pytest
from cllm.prepare import store


class PowerCut(BaseException):
    """Nobody catches it, so nothing is saved on the way."""


# Everything that changes what a later run finds.
MOMENTS = [(Path, "replace"), (Path, "unlink"), (Path, "rmdir"), (Path, "mkdir"),
           (store.os, "fsync"), (store.Part, "append"), (store.Part, "seal")]


@contextmanager
def ending_at(number, error=PowerCut):
    """The process ends before the number-th of these moments; yields how many there have been."""
    seen = []

    def watched(real, name):
        def call(*given, **named):
            seen.append(name)
            if len(seen) == number:
                raise error
            return real(*given, **named)
        return call

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in MOMENTS:
            patch.setattr(owner, name, watched(getattr(owner, name), name))
        yield seen
