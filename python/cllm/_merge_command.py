"""The command `cllm merge`, and where an adapter is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

import cllm
from cllm import _process
from cllm._run_folder import models_of
from cllm._training import quoted

CONFIG = "adapter_config.json"
DTYPES = ("fp32", "bf16", "fp16")


def check_adapter(path: Path, name: str) -> None:
    """Raises InputError for what holds no adapter; `name` is that of the option. What is wrong with
    one says who reads it."""
    if not path.is_dir():
        raise cllm.InputError(f"{name}: no such folder: got {path}, expected one with {CONFIG}")
    places = [path, *models_of(path)]
    if any((place / CONFIG).is_file() for place in places):
        return
    whole = any((place / "config.json").is_file() for place in places)
    raise cllm.InputError(f"{name}: no adapter: got {path}, {'a whole model' if whole else ''}"
                          f"{'' if whole else f'without {CONFIG}'}, expected the folder of an "
                          "adapter of PEFT, or of a run with --lora")


def load(model: Path, adapter: Path | None, usage: str) -> cllm.Model:
    """The model with its adapter. Where both are to be named the engine says how `cllm generate`
    takes them, and `usage` how this command does."""
    try:
        return cllm.Model.load(model, adapter)
    except cllm.InputError as error:
        text = re.sub(r"--model (.*) --adapter (.*)\)$",
                      lambda found: usage.format(model=found[1], adapter=found[2]) + ")",
                      str(error))
        raise cllm.InputError(text) from None


def _check_not_its_model(out: Path, adapter: Path, model: Path | None) -> None:
    """Raises InputError where the folder to replace is the model without which the adapter is worth
    nothing, whatever way leads there. The adapter itself is no folder that is replaced."""
    from cllm.prepare.tokenizers import read_json

    folder = next(place for place in (adapter, *models_of(adapter)) if (place / CONFIG).is_file())
    config = read_json(folder / CONFIG)
    named = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    bases = [Path(base) for base in (model, named) if isinstance(base, str | Path) and str(base)]
    for base in bases:
        if any(_is_same(out, place) for place in (base, *models_of(base))):
            raise cllm.InputError(f"--out: the model that the adapter belongs to: got {out}, "
                                  "expected a new folder: the adapter needs its model as it is")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # what is not there is not replaced
        return False


def merge(
    adapter: Annotated[Path, typer.Argument(
        metavar="ADAPTER", help="Folder of an adapter of PEFT, or of a run with --lora.")],
    out: Annotated[Path, typer.Option(
        "--out", "-o", metavar="FOLDER", help="New folder of the model.")],
    model: Annotated[Path | None, typer.Option(
        metavar="FOLDER", help="The model that the adapter is for; without it, the one that it "
        "names.")] = None,
    save_dtype: Annotated[str, typer.Option(
        metavar="TYPE", help="What the weights are rounded to: fp32, bf16 or fp16.")] = "fp32",
    force: Annotated[bool, typer.Option(
        "--force", help="Replaces a folder that holds a model.")] = False,
) -> None:
    """Adds an adapter to the weights of its model: a whole model, which needs no adapter."""
    from cllm.convert.new_folder import check_new_folder, new_folder

    if save_dtype not in DTYPES:
        raise cllm.InputError(f'--save-dtype: no type of weights: got "{save_dtype}", expected '
                              f"{', '.join(DTYPES)}")
    check_adapter(adapter, "ADAPTER")
    _check_not_its_model(out, adapter, model)
    check_new_folder(out, force=force)
    merged = load(model or adapter, adapter if model else None,
                  "cllm merge {adapter} --model {model} --out FOLDER")
    with new_folder(out, force=force) as partial:
        merged.save(partial, dtype=save_dtype)
    typer.echo(f"{out}: {merged.config.family}, {merged.num_parameters():,} parameters, vocabulary "
               f"{merged.config.vocab:,}, {save_dtype}")
    sample = f"cllm generate --model {quoted(out)}"
    if (out / "chat_template.jinja").is_file():
        sample = f"cllm chat {quoted(out)}"
    _process.tell(f"try     {sample}")
