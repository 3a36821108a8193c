"""A GGUF file becomes a model folder that transformers and CLLM open."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from cllm.convert.gguf_data import Data, library
from cllm.convert.gguf_header import Tensor, read_header
from cllm.convert.gguf_models import Source, describe
from cllm.convert.gguf_tokenizer import GgufTokenizer
from cllm.convert.new_folder import check_new_folder, new_folder
from cllm.convert.weights import Piece, write_weights
from cllm.prepare.store import write_durably


class Imported(NamedTuple):
    """What was made. `types` says which kinds of numbers the weights had, and how many each."""

    folder: Path
    family: str
    parameters: int
    vocabulary: int
    types: dict[str, int]


def _pieces(data: Data, tensor: Tensor, source: Source) -> Iterator[Piece]:
    """The numbers of a tensor of the folder in their order.

    llama.cpp turns neighbours in a head by an angle and the folder's model turns the two halves, so
    rows that were put side by side go back to their halves.
    """
    if source.transposed:
        yield data.all(tensor).T
    elif source.heads:
        pairs = data.all(tensor).reshape(source.heads, -1, 2, *source.shape[1:])
        yield pairs.swapaxes(1, 2)
    else:
        yield from data.rows(tensor)


def import_gguf(file: str | PathLike[str], folder: str | PathLike[str], *,
                force: bool = False) -> Imported:
    """Makes a model folder of a GGUF file: 32-bit weights, config.json, the tokenizer's files.

    Args:
        file: a model of architecture gpt2, llama, qwen2 or qwen3, of whatever types the package
            `gguf` decodes. What quantising took away does not come back.
        folder: a new folder, which appears when it is whole.
        force: replaces a folder that holds a model and nothing else.
    """
    library()  # what is missing is said first
    path, out = Path(file), Path(folder)
    check_new_folder(out, force=force)
    header = read_header(path)
    with path.open("rb") as opened:
        data = Data(header, opened)
        model = describe(header, data.equal)
        tokenizer = GgufTokenizer(header, model.context, model.vocabulary)
        tensors = [header.tensors[source.of] for source in model.sources]
        data.check(tensors)
        config = json.dumps(model.config | tokenizer.ends(), indent=2) + "\n"
        with new_folder(out, force=force) as partial:
            for name, text in {"config.json": config, **tokenizer.files()}.items():
                write_durably(partial / name, text.encode())
            write_weights(partial / "model.safetensors",
                          [(source.name, source.shape) for source in model.sources],
                          (_pieces(data, tensor, source)
                           for tensor, source in zip(tensors, model.sources, strict=True)))
    types: Counter[str] = Counter()
    for tensor in tensors:
        types[data.kind(tensor)] += math.prod(tensor.shape)
    return Imported(out, str(model.config["model_type"]), types.total(), model.vocabulary,
                    dict(types.most_common()))
