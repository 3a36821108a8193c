"""A safetensors file is written tensor by tensor, so that a large model needs little memory."""

import json
import math
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy
from numpy.typing import NDArray

from cllm.prepare.store import sync_folder

_WIDTH = 4  # bytes of a number

Piece = NDArray[numpy.float32]


def write_weights(path: Path, shapes: Sequence[tuple[str, tuple[int, ...]]],
                  tensors: Iterable[Iterator[Piece]]) -> None:
    """Writes 32-bit floats; the pieces of each tensor are its numbers in order."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes:
        begin, end = end, end + _WIDTH * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for (_, shape), pieces in zip(shapes, tensors, strict=True):
            written = sum(file.write(numpy.ascontiguousarray(piece, "<f4").data)
                          for piece in pieces)
            assert written == _WIDTH * math.prod(shape)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
