"""Which files hold the examples: the one that is given, or those of a folder by their names."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from cllm._cllm import InputError
from cllm.prepare.inputs import KINDS, PACKED, check_names, kind_of

_TRAIN = ("train", "training")
_VALIDATION = ("valid", "validation", "val", "dev", "eval", "test")  # the first that is there
_ENDINGS = tuple(ending for ending, kind in KINDS.items() if kind != "text")


@dataclass(frozen=True)
class Files:
    train: list[str]
    validation: list[str]
    passed: list[str]  # what the folder holds beside them


def find_chats(given: str | Path) -> Files:
    """The files of a path. Those of a folder are called train.jsonl and valid.jsonl, validation or
    test, also with a number after it; the only file of a folder trains, whatever its name."""
    path = str(given)
    if not os.path.isdir(path):
        _check(path)
        check_names([path])
        return Files([path], [], [])
    names = sorted(name for name in os.listdir(path) if not name.startswith(".")
                   and kind_of(name) not in (None, "text") and os.path.isfile(f"{path}/{name}"))
    parts = {part: [name for name in names if _part_of(name) == part]
             for part in (*_TRAIN, *_VALIDATION)}
    train = [name for part in _TRAIN for name in parts[part]]
    validation = next((parts[part] for part in _VALIDATION if parts[part]), [])
    if not train and len(names) == 1:
        train, validation = names, []
    if not train:
        found = ", ".join(names[:12]) or "no file"
        raise InputError(f"{path}: no examples to train on: got {found}, expected train.jsonl, and "
                         f"valid.jsonl beside it (also {', '.join(_ENDINGS[1:])})")
    used = {*train, *validation}
    files = Files(*([os.path.join(path, name) for name in some] for some in (
        train, validation, [name for name in names if name not in used])))
    check_names(files.train + files.validation)
    return files


def _part_of(name: str) -> str:
    """train of train.jsonl, train_2.json.gz, train-00000-of-00003.parquet."""
    match = re.match(r"[a-z]+(?![a-z])", name.lower())
    return match[0] if match else ""


def _check(path: str) -> None:
    if not os.path.exists(path):
        raise InputError(f"{path}: cannot be read: no such file")
    if not os.path.isfile(path):
        raise InputError(f"{path}: cannot be read: a device or pipe, expected a file")
    if kind_of(path) == "text" or path.lower().endswith((".bin", ".npy")):
        raise InputError(f"{path}: no records: expected one example a line in a file named "
                         f"{', '.join(_ENDINGS)}, also with {' or '.join(PACKED)} (texts are "
                         "trained on by cllm train --init)")
