"""The command `cllm import`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cllm import _process

if TYPE_CHECKING:
    from cllm.convert import Imported

_EXACT = ("F32", "F16", "BF16")  # of which every number is a 32-bit float


def tell(made: Imported) -> None:
    """Says what was made, and what it lost before."""
    typer.echo(f"{made.folder}: {made.family}, {made.parameters:,} parameters, vocabulary "
               f"{made.vocabulary:,}")
    coarse = [name for name in made.types if name not in _EXACT]
    if coarse:
        _process.tell(f"note    the weights passed through {' and '.join(coarse)}, which rounded "
                      "them")
    _process.tell(f"sample  cllm generate --model {shlex.quote(str(made.folder))}")


def import_model(
    file: Annotated[Path, typer.Argument(
        metavar="FILE.gguf", help="A model of llama.cpp: gpt2, llama, qwen2 or qwen3.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New folder of the model.")],
    force: Annotated[bool, typer.Option(
        "--force", help="Replaces a folder that holds a model.")] = False,
) -> None:
    """Makes a model folder of a GGUF file, to generate with, to train on, or for transformers."""
    from cllm.convert import import_gguf

    tell(import_gguf(file, folder, force=force))
