"""How large a model is, by the headers of its files."""

import json
import math
import struct
from pathlib import Path

from cllm._cllm import InputError
from cllm._words import shown
from cllm.prepare.tokenizers import read_json

_LARGEST = 100 << 20  # bytes of a header
FILE, INDEX = "model.safetensors", "model.safetensors.index.json"


def parameters_of(folder: Path) -> int:
    """The numbers in a model's files."""
    return sum(map(_numbers_in, _files_of(folder)))


def _files_of(folder: Path) -> list[Path]:
    """The files with weights: of several, those that the index names, whatever they are called."""
    index = folder / INDEX
    if not index.is_file():
        return [folder / FILE]
    content = read_json(index)
    files = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not files:
        raise InputError(f"{index}: no index of weights: expected weight_map, with a file for each "
                         "weight")
    for name in files.values():
        if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
            raise InputError(f"{index}: no file with weights: got {shown(name)}, expected the name "
                             "of a file beside it")
    return [folder / name for name in sorted(set(files.values()))]


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
