"""Inputs are files, folders and patterns; they become one list of files in a stable order."""

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cllm._cllm import InputError

PACKED = (".gz", ".zst")
KINDS = {".txt": "text", ".text": "text", ".md": "text", ".markdown": "text", ".jsonl": "jsonl",
         ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".json": "squad"}
# A folder is searched for these; most .json in folders is no SQuAD. A file that is named on its own
# may be called anything.
SEARCHED = tuple(ending for ending, kind in KINDS.items() if kind != "squad")
# The files by which a data set, a run and a model are known.
MADE = (("dataset.json", "tokenizer.json"), ("config.toml", "metrics.jsonl"),
        ("config.json", "model.safetensors"))


def kind_of(path: str) -> str | None:
    """The kind that a file's name tells, packed or not; None for an unknown name."""
    name = os.path.basename(path).lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return KINDS.get(os.path.splitext(name)[1])


def check_names(files: Iterable[str]) -> None:
    """Raises InputError for a path that no description of a data set could hold."""
    for name in files:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(name).decode(errors="backslashreplace")
            raise InputError(f"{shown}: a name that is not UTF-8: expected one that is: rename the "
                             "file, or its folder") from None


def _is_within(path: str, folder: str | None) -> bool:
    return folder is not None and (path == folder or path.startswith(folder.rstrip("/") + "/"))


def _below(folder: str) -> Iterable[str]:
    """The files to read in a folder. Data sets, runs and models inside it are passed over."""
    for parent, folders, names in os.walk(folder):
        if parent != folder and any(set(made) <= set(names) for made in MADE):
            folders.clear()
            continue
        folders[:] = (name for name in folders if not name.startswith("."))
        for name in names:
            if not name.startswith(".") and kind_of(name) not in (None, "squad"):
                yield os.path.join(parent, name)


def _search(given: str, out: str | None) -> list[str]:
    """The files of a folder or of a pattern, sorted by name; what lies in `out` is not read."""
    if os.path.isdir(given):
        names, wanted = _below(given), (
            "nothing to read in this folder: expected files named " + ", ".join(SEARCHED)
            + ", also with .gz or .zst; SQuAD's .json is read where it is named itself")
    else:
        names = (name for name in glob.glob(given, recursive=True) if not os.path.isdir(name))
        wanted = "no file fits this pattern"
    found = [name for name in names if not _is_within(os.path.realpath(name), out)]
    if not found:
        raise InputError(f"{given}: {wanted}")
    return sorted(found, key=os.fsencode)


def find_files(inputs: Sequence[str | Path], out: str | Path | None = None) -> list[str]:
    """Every file of the inputs once: those of a folder or pattern are sorted by name, hidden ones
    are not looked at, nor the folder `out`."""
    found: dict[str, str] = {}
    place = None if out is None else os.path.realpath(out)
    for given in map(str, inputs):
        is_pattern = glob.has_magic(given) and not os.path.lexists(given)
        if not is_pattern and _is_within(os.path.realpath(given), place):
            raise InputError(f"{given}: is to be read and lies in the output folder: expected a "
                             "folder elsewhere")
        for name in _search(given, place) if is_pattern or os.path.isdir(given) else [given]:
            found.setdefault(os.path.realpath(name), name)
    for name in found.values():
        if not os.path.exists(name):
            raise InputError(f"{name}: cannot be read: no such file")
        if not os.path.isfile(name):
            raise InputError(f"{name}: cannot be read: a device or pipe, expected a file")
    return list(found.values())
