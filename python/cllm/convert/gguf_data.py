"""Numbers of a GGUF file's tensors, made 32-bit floats a few rows at a time."""

import math
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy
from numpy.typing import NDArray

from cllm._cllm import InputError
from cllm._words import shown
from cllm.convert.gguf_header import Header, Tensor

PIECE = 1 << 22  # numbers made at once


def library() -> Any:
    """The package that knows the quantised types."""
    try:
        import gguf
    except ImportError:
        raise InputError("GGUF files are read with the package gguf, which is not installed: "
                         "pip install gguf") from None
    return gguf


class Data:
    """The data of a file whose header has been read."""

    def __init__(self, header: Header, file: BinaryIO) -> None:
        self._header, self._file = header, file
        self._gguf = library()

    def kind(self, tensor: Tensor) -> str:
        """The name of the type, such as Q4_1."""
        return str(self._type(tensor).name)

    def check(self, tensors: list[Tensor]) -> None:
        """Raises InputError unless every tensor lies in the file, apart from the others, and can be
        decoded."""
        end, before = 0, ""
        for tensor in sorted(tensors, key=lambda tensor: tensor.begin):
            if tensor.begin < end:
                raise self._refuse(tensor, f"shares bytes with tensor {shown(before)}")
            end, before = tensor.begin + self._bytes(tensor), tensor.name
            if end > self._header.size:
                raise self._refuse(tensor, f"ends behind the file: got byte {end:,}, expected at "
                                   f"most {self._header.size:,}: the file is cut or damaged")
        for kind in {tensor.kind: tensor for tensor in tensors}.values():
            self._decode(numpy.zeros((1, self._row_bytes(kind)), numpy.uint8), kind)

    def rows(self, tensor: Tensor) -> Iterator[NDArray[numpy.float32]]:
        """The tensor as a matrix, piece by piece; a vector is one row. REQUIRES: check()."""
        width, size = tensor.shape[-1], self._row_bytes(tensor)
        many, left = max(1, PIECE // width), math.prod(tensor.shape[:-1])
        self._file.seek(tensor.begin)
        while left > 0:
            raw = self._file.read(min(many, left) * size)
            if len(raw) != min(many, left) * size:
                raise self._refuse(tensor, "the file became shorter while it was read")
            values = self._decode(numpy.frombuffer(raw, numpy.uint8).reshape(-1, size), tensor)
            if not numpy.isfinite(values).all():
                raise self._refuse(tensor, "holds values that are no finite numbers: what made "
                                   "the file went wrong, or it is damaged")
            yield values
            left -= len(values)

    def all(self, tensor: Tensor) -> NDArray[numpy.float32]:
        return numpy.concatenate(list(self.rows(tensor))).reshape(tensor.shape)

    def equal(self, one: Tensor, other: Tensor) -> bool:
        """Whether two tensors are the same bytes."""
        if (one.kind, one.shape) != (other.kind, other.shape):
            return False
        self.check([one, other])
        for begin in range(0, self._bytes(one), PIECE):
            count = min(PIECE, self._bytes(one) - begin)
            pieces = []
            for tensor in (one, other):
                self._file.seek(tensor.begin + begin)
                pieces.append(self._file.read(count))
            if pieces[0] != pieces[1]:
                return False
        return True

    def _refuse(self, tensor: Tensor, what: str) -> InputError:
        return self._header.refuse(f"tensor {shown(tensor.name)} {what}")

    def _type(self, tensor: Tensor) -> Any:
        try:
            return self._gguf.GGMLQuantizationType(tensor.kind)
        except ValueError:
            raise self._refuse(tensor, f"has an unknown type of numbers: got {tensor.kind} (a "
                               "newer gguf may know it: pip install -U gguf)") from None

    def _row_bytes(self, tensor: Tensor) -> int:
        block, size = self._gguf.GGML_QUANT_SIZES[self._type(tensor)]
        if tensor.shape[-1] % block:
            raise self._refuse(tensor, f"has rows of {tensor.shape[-1]:,} numbers, expected a "
                               f"multiple of {block} for {self.kind(tensor)}")
        return int(tensor.shape[-1] // block * size)

    def _bytes(self, tensor: Tensor) -> int:
        return math.prod(tensor.shape[:-1]) * self._row_bytes(tensor)

    def _decode(self, raw: NDArray[numpy.uint8], tensor: Tensor) -> NDArray[numpy.float32]:
        try:
            with numpy.errstate(all="ignore"):  # what comes out is checked
                values = self._gguf.dequantize(raw, self._type(tensor))
        except NotImplementedError:
            raise self._refuse(tensor, f"has a type that gguf cannot decode: got "
                               f"{self.kind(tensor)}") from None
        return numpy.ascontiguousarray(values, numpy.float32)
