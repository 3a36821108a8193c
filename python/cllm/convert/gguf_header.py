"""The header of a GGUF file: settings, and where each tensor lies. Data is not read here.

The package `gguf` has a reader too. It makes several arrays of every text, which takes seconds for
a tokenizer and, from a file that was made to harm, any amount of memory. Here nothing is made that
the bytes which are there do not pay for.
"""

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy
from numpy.typing import NDArray

from cllm._cllm import InputError
from cllm._words import shown

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32  # where general.alignment does not say
MOST_SETTINGS = 1 << 16
MOST_TENSORS = 1 << 20
MOST_ELEMENTS = 1 << 24  # of a list
MOST_BYTES = 256 << 20  # of a header
MOST_EXTENTS = 4
_BLOCK = 1 << 20

# Types of settings by their number; numbers as struct and NumPy write them.
_NUMBERS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "|b1",
            10: "<u8", 11: "<i8", 12: "<f8"}
_STRING, _LIST = 8, 9

Value = str | int | float | bool | list[str] | NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file. `shape` is as in NumPy: the last extent is that of a row."""

    name: str
    shape: tuple[int, ...]
    kind: int  # of its numbers
    begin: int  # in the file


@dataclass
class Header:
    path: Path
    size: int = 0  # of the file
    settings: dict[str, Value] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def refuse(self, what: str) -> InputError:
        return InputError(f"{self.path}: {what}")

    def single(self, key: str) -> Value | None:
        """A setting that is one value; None: it is not there."""
        value = self.settings.get(key)
        if isinstance(value, numpy.ndarray | list):
            raise self.refuse(f"setting {key}: a list of {len(value)}: expected one value")
        return value


class _Reader:
    """Takes the parts of a header one after the other and never more than there is."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file, self._header = file, header
        self.at = 0

    def bytes(self, count: int, what: str) -> bytes:
        left = min(self._header.size, MOST_BYTES) - self.at
        if count > left:
            raise self._header.refuse(
                f"{what} is longer than the file: got {count:,} bytes at {self.at:,}, expected at "
                f"most {left:,}: the file is cut or damaged" if left < MOST_BYTES - self.at else
                f"a header that is too large: expected at most {MOST_BYTES:,} bytes")
        found = self._file.read(count)
        if len(found) != count:
            raise self._header.refuse("the file became shorter while it was read")
        self.at += count
        return found

    def number(self, form: str, what: str) -> Any:
        return struct.unpack(form, self.bytes(struct.calcsize(form), what))[0]

    def text(self, what: str) -> str:
        raw = self.bytes(self.number("<Q", what), what)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self._header.refuse(f"{what} is no UTF-8: got {raw[:40]!r}") from None

    def value(self, kind: int, what: str) -> Value:
        if kind == _STRING:
            return self.text(what)
        if kind == _LIST:
            return self.list(what)
        return self.numbers(kind, 1, what)[0].item()  # type: ignore[no-any-return]

    def numbers(self, kind: int, count: int, what: str) -> NDArray[Any]:
        if kind not in _NUMBERS:
            raise self._header.refuse(f"{what} has an unknown type: got {kind}, expected 0 to 12")
        dtype = numpy.dtype(_NUMBERS[kind])
        raw = self.bytes(count * dtype.itemsize, what)
        if kind == 7 and raw.translate(None, b"\0\1"):
            raise self._header.refuse(f"{what} is no truth value: expected bytes of 0 and 1")
        return numpy.frombuffer(raw, dtype)

    def list(self, what: str) -> Value:
        kind, count = self.number("<I", what), self.number("<Q", what)
        if count > MOST_ELEMENTS:
            raise self._header.refuse(f"{what} is too long: got {count:,} elements, expected at "
                                      f"most {MOST_ELEMENTS:,}")
        if kind == _LIST:
            raise self._header.refuse(f"{what} is a list of lists, which no setting here is")
        if kind != _STRING:
            return self.numbers(kind, count, what)
        return [self.text(what) for _ in range(count)]


def _settings(reader: _Reader, header: Header, count: int) -> None:
    for i in range(count):
        key = reader.text(f"name of setting {i}")
        if key in header.settings:
            raise header.refuse(f"a setting is given twice: got {shown(key)}")
        what = f"setting {shown(key)}"
        header.settings[key] = reader.value(reader.number("<I", what), what)


def _tensors(reader: _Reader, header: Header, count: int) -> list[Tensor]:
    """The tensors, with places counted from where data begins."""
    found = []
    for i in range(count):
        name = reader.text(f"name of tensor {i}")
        what = f"tensor {shown(name)}"
        extents = reader.number("<I", what)
        if not 1 <= extents <= MOST_EXTENTS:
            raise header.refuse(f"{what} has an impossible shape: got {extents} extents, expected "
                                f"1 to {MOST_EXTENTS}")
        shape = tuple(reader.number("<Q", what) for _ in range(extents))[::-1]
        if 0 in shape:
            raise header.refuse(f"{what} is empty: got {list(shape)}")
        found.append(Tensor(name, shape, *(reader.number(form, what) for form in ("<I", "<Q"))))
    return found


def _alignment(header: Header) -> int:
    value = header.settings.get("general.alignment", ALIGNMENT)
    if not isinstance(value, int) or value < 1 or value & (value - 1) or value > _BLOCK:
        raise header.refuse(f"general.alignment: got {shown(value)}, expected a power of two")
    return value


def read_header(path: Path) -> Header:
    """Raises InputError for what is no GGUF file, for one that is damaged, and for one of several
    files that belong together."""
    header = Header(path)
    try:
        with path.open("rb") as file:
            header.size = os.fstat(file.fileno()).st_size
            _read(file, header)
    except OSError as error:
        raise header.refuse(f"cannot be read: {error.strerror}") from None
    return header


def _read(file: BinaryIO, header: Header) -> None:
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        raise header.refuse(f"no GGUF file: got {magic!r} at its begin, expected {MAGIC!r}")
    reader = _Reader(file, header)
    reader.at = len(MAGIC)
    version = reader.number("<I", "version")
    if version not in VERSIONS:
        swapped = version & 0xFFFF == 0
        raise header.refuse("a version of GGUF that is not read: got "
                            f"{'one for big-endian machines' if swapped else version}, expected "
                            "2 or 3")
    tensors, settings = (reader.number("<Q", f"number of {what}")
                         for what in ("tensors", "settings"))
    for what, count, most in (("tensors", tensors, MOST_TENSORS),
                              ("settings", settings, MOST_SETTINGS)):
        if count > most:
            raise header.refuse(f"too many {what}: got {count:,}, expected at most {most:,}")
    _settings(reader, header, settings)
    if header.single("split.count") not in (None, 0, 1):
        raise header.refuse("one of several files: expected a model in one file "
                            "(llama-gguf-split --merge makes one)")
    found = _tensors(reader, header, tensors)
    alignment = _alignment(header)
    begin = -(-reader.at // alignment) * alignment
    for tensor in found:
        if tensor.name in header.tensors:
            raise header.refuse(f"tensor {shown(tensor.name)} is there twice")
        header.tensors[tensor.name] = Tensor(tensor.name, tensor.shape, tensor.kind,
                                             begin + tensor.begin)
