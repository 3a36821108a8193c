"""Bytes become text piece by piece; an error says which byte of which file."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from cllm._cllm import InputError
from cllm._words import option

BLOCK = 1 << 20  # bytes read at once

MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"),
         (codecs.BOM_UTF32_BE, "utf-32-be"), (codecs.BOM_UTF16_LE, "utf-16-le"),
         (codecs.BOM_UTF16_BE, "utf-16-be"))  # UTF-32's begins like UTF-16's

_replaced = 0


def _replace(error: UnicodeError) -> tuple[str, int]:
    global _replaced
    if not isinstance(error, UnicodeDecodeError):
        raise error
    _replaced += 1
    return "\ufffd", error.end


codecs.register_error("cllm.replace", _replace)


def check_encoding(name: str) -> None:
    """Raises InputError unless this is an encoding of texts."""
    try:
        b"ab".decode(name)
    except UnicodeDecodeError:
        pass  # of two bytes or more a character
    except (LookupError, ValueError):
        raise InputError(f'{option("encoding")}: unknown: got "{name}", expected a name such as '
                         "utf-8, latin-1, cp1252, shift_jis") from None


class Decoder:
    """Text of one file. A byte order mark decides, else `encoding`, else it is UTF-8."""

    def __init__(self, encoding: str | None, errors: str) -> None:
        self._encoding = encoding
        self._errors = errors
        self.replaced = 0  # undecodable places so far

    def blocks(self, stream: BinaryIO, name: str) -> Iterator[str]:
        """Pieces of the text, each decoded from about a MiB."""
        block = stream.read(BLOCK)
        encoding = self._encoding or "utf-8"
        begin = 0
        for mark, marked in MARKS:
            if block.startswith(mark):
                encoding, begin = marked, len(mark)
                break
        handler = "cllm.replace" if self._errors == "replace" else "strict"
        decoder = codecs.getincrementaldecoder(encoding)(handler)
        block, read = block[begin:], begin
        while True:
            kept = len(decoder.getstate()[0])  # bytes of a character that was cut
            before = _replaced
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                at = read - kept + error.start
                seen = " ".join(f"{byte:#04x}" for byte in error.object[error.start:error.end][:4])
                raise InputError(
                    f"{name}: not {encoding} at byte {at}: got {seen}, expected text (if it is "
                    f"text in another encoding, say {option('encoding', 'NAME')}; "
                    f"{option('errors', 'replace')} puts U+FFFD there)"
                ) from None
            self.replaced += _replaced - before
            if "\0" in text:
                at = read - kept + len(text[:text.index("\0")].encode(encoding, "replace"))
                raise InputError(f"{name}: no text: got a zero byte at about byte {at}, expected "
                                 "text (UTF-16 without a mark wants "
                                 f"{option('encoding', 'utf-16-le')})")
            if text:
                yield text
            if not block:
                return
            read += len(block)
            block = stream.read(BLOCK)
