"""Inputs are files, folders and patterns; they become one list of files in a stable order."""

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cllm._cllm import InputError

PACKED = (".gz", ".zst")
# What a folder is searched for; a file that is named on its own may be called anything.
KINDS = {".txt": "text", ".text": "text", ".md": "text", ".markdown": "text", ".jsonl": "jsonl",
         ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".json": "squad"}


def kind_of(path: str) -> str | None:
    """The kind that a file's name tells, packed or not; None for an unknown name."""
    name = os.path.basename(path).lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return KINDS.get(os.path.splitext(name)[1])


def _below(folder: str) -> Iterable[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and kind_of(name):
                yield os.path.join(parent, name)


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _check_place(given: str, names: list[str], out: str) -> None:
    """What is written must not be read."""
    if os.path.isdir(given) and _is_within(out, os.path.realpath(given)):
        raise InputError(f"--out: lies in the input folder {given}: got {out}, expected a folder "
                         "elsewhere")
    for name in names:
        if _is_within(os.path.realpath(name), out):
            raise InputError(f"{name}: is to be read and lies in the folder of --out: expected a "
                             "folder elsewhere")


def find_files(inputs: Sequence[str | Path], out: str | Path | None = None) -> list[str]:
    """Every file of the inputs once: those of a folder or pattern are sorted by name, hidden ones
    are not looked at. None may lie in `out`, and no folder around it."""
    found: dict[str, str] = {}
    for given in map(str, inputs):
        if os.path.isdir(given):
            names = sorted(_below(given), key=os.fsencode)
            if not names:
                raise InputError(f"{given}: nothing to read in this folder: expected files named "
                                 + ", ".join(KINDS) + ", also with .gz or .zst")
        elif os.path.lexists(given) or not glob.has_magic(given):
            names = [given]
        else:
            names = sorted((name for name in glob.glob(given, recursive=True)
                            if not os.path.isdir(name)), key=os.fsencode)
            if not names:
                raise InputError(f"{given}: no file fits this pattern")
        if out is not None:
            _check_place(given, names, os.path.realpath(out))
        for name in names:
            found.setdefault(os.path.realpath(name), name)
    for name in found.values():
        if not os.path.exists(name):
            raise InputError(f"{name}: cannot be read: no such file")
        if not os.path.isfile(name):
            raise InputError(f"{name}: cannot be read: a device or pipe, expected a file")
    return list(found.values())
