"""How large a model is, by the headers of its files."""

import json
import math
import struct
from pathlib import Path

from cllm._cllm import InputError
from cllm.prepare.tokenizers import read_json

_LARGEST = 100 << 20  # bytes of a header
FILE, INDEX = "model.safetensors", "model.safetensors.index.json"


def parameters_of(folder: Path) -> int:
    """The numbers in a model's files."""
    if (folder / INDEX).is_file():
        files = sorted(folder.glob("model-*.safetensors"))
    else:
        files = [folder / FILE]
    return sum(map(_numbers_in, files))


def width_of(folder: Path) -> int:
    """The width of a model, by its config.json."""
    file = folder / "config.json"
    config = read_json(file) if file.is_file() else None
    for key in ("hidden_size", "n_embd"):
        if isinstance(config, dict) and isinstance(config.get(key), int):
            return int(config[key])
    raise InputError(f"{file}: no width of a model: expected hidden_size, or n_embd")


def _numbers_in(file: Path) -> int:
    try:
        with file.open("rb") as content:
            (size,) = struct.unpack("<Q", content.read(8))
            if size > _LARGEST:
                raise ValueError(f"a header of {size} bytes")
            header = json.loads(content.read(size))
        return sum(math.prod(one["shape"]) for name, one in header.items()
                   if name != "__metadata__")
    except FileNotFoundError:
        raise InputError(f"{file}: no such file: expected the folder of a model, with its weights"
                         ) from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: no weights: {error}") from None
