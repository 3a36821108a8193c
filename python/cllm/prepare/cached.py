"""A text that is trained on with a tokenizer is prepared once and found again by its content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cllm
from cllm._cache import cache_folder
from cllm._cllm import InputError
from cllm.prepare.inputs import find_files, kind_of
from cllm.prepare.report import Report
from cllm.prepare.tokenizers import FILES
from cllm.prepare.work import prepare
from cllm.token_files import DESCRIPTION

PIECE = 1 << 20  # bytes hashed at once
DIGITS = 16  # of the hash in a folder's name


def add_file(digest: "hashlib._Hash", path: str | Path) -> None:
    try:
        with Path(path).open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
            digest.update(b"end %d\n" % file.tell())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _name(inputs: Sequence[str], val: Sequence[str], tokenizer: str) -> str:
    """A name that is another one for other texts, another tokenizer or another version."""
    digest = hashlib.sha256(f"{cllm.__version__} {len(inputs)} {len(val)}\n".encode())
    for path in (*inputs, *val):
        digest.update(f"{kind_of(path)} {path.endswith(('.gz', '.zst'))}\n".encode())
        add_file(digest, path)
    place = Path(tokenizer)
    files = [place / name for name in FILES if (place / name).is_file()] if place.is_dir() else (
        [place] if place.is_file() else [])
    digest.update(f"{tokenizer if not files else len(files)}\n".encode())
    for file in files:
        add_file(digest, file)
    return f"{Path(inputs[0]).name.partition('.')[0]}-{digest.hexdigest()[:DIGITS]}"


def cached(inputs: Sequence[str | Path], tokenizer: str, *, val: Sequence[str | Path] = (),
           progress: bool = False) -> Path:
    """The folder of the data set that prepare() makes of these inputs; one that was made before,
    here or by another run, is taken as it is."""
    folder = cache_folder() / "datasets" / _name(find_files(inputs), find_files(val), tokenizer)
    if (folder / DESCRIPTION).exists():
        Report(progress).say(f"data    prepared before: {folder}")
        return folder
    prepare(inputs, folder, tokenizer=tokenizer, val=val, progress=progress)
    return folder
