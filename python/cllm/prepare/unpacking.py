"""Files that are packed (.gz, .zst) are read as what they hold; damage is an InputError."""

import gzip
import io
import zlib
from typing import Any, BinaryIO

from cllm._cllm import InputError


def missing(package: str, name: str) -> InputError:
    return InputError(f"{name}: needs {package}, which is not installed: pip install {package}")


def unpacked(raw: BinaryIO, name: str) -> BinaryIO:
    """The unpacked bytes of a file."""
    if name.lower().endswith(".gz"):
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if name.lower().endswith(".zst"):
        try:
            import zstandard
        except ImportError:
            raise missing("zstandard", name) from None
        return _Zstandard(raw, zstandard.ZstdDecompressor())  # type: ignore[return-value]
    return raw


class _Zstandard:
    """The unpacked bytes of all frames; the library's own stream ends quietly where one is cut."""

    def __init__(self, raw: BinaryIO, library: Any) -> None:
        self._raw, self._library = raw, library
        self._frame: Any = None  # under way
        self._packed = self._unpacked = b""

    def read(self, size: int = -1) -> bytes:
        while not self._unpacked:
            # Little at once, because a few bytes may stand for very many.
            self._packed = self._packed or self._raw.read(1024)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the last frame has no end")
                return b""
            if self._frame is None:
                self._frame = self._library.decompressobj()
            self._unpacked = self._frame.decompress(self._packed)
            self._packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        size = size if size >= 0 else len(self._unpacked)
        found, self._unpacked = self._unpacked[:size], self._unpacked[size:]
        return found


class Whole(io.RawIOBase):
    """Unpacked bytes, of which a damaged or cut archive is an InputError."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int = -1) -> bytes:
        parts, left = [], size
        while left != 0:
            try:
                part = self._stream.read(left)
            except (EOFError, OSError, zlib.error) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise InputError(f"{self._name}: cannot be read: {error.strerror}") from None
                raise self._damaged(error) from None
            except Exception as error:
                if type(error).__name__ != "ZstdError":
                    raise
                raise self._damaged(error) from None
            if not part:
                break
            parts.append(part)
            left -= len(part) if size >= 0 else 0
        return b"".join(parts)

    def _damaged(self, error: Exception) -> InputError:
        return InputError(f"{self._name}: damaged or cut short: {error}; copy or pack it again")
