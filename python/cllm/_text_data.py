"""Texts as a model's tokens, in memory: what is evaluated and is not tokens already.

Files are read as `cllm prepare` reads them, piece by piece; what stays in memory are the ids, four
bytes for each token. Documents end with the model's end-of-text token.
"""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import cllm
from cllm._words import count
from cllm.prepare.inputs import PACKED, find_files, kind_of
from cllm.prepare.pieces import Piece, cut_documents
from cllm.prepare.readers import InputFile, Reading
from cllm.prepare.tokenizers import byte_ids

_BATCH = 1 << 19  # characters that are tokenized at once


class Tokens(NamedTuple):
    ids: NDArray[np.int32]
    text_bytes: int


def _ids(model: cllm.Model, texts: list[str]) -> list[NDArray[np.int32]]:
    return byte_ids(texts) if model.byte_tokens else model._text_tokenizer().ids_of(texts)


def _batches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece.text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    yield batch


def _tokens(model: cllm.Model, pieces: Iterable[Piece], ends: bool) -> Tokens:
    end = np.array(model.end_tokens[:1] if ends else [], np.int32)
    found, text_bytes = [end[:0]], 0
    for batch in _batches(pieces):
        texts = [piece.text for piece in batch]
        for piece, ids in zip(batch, _ids(model, texts) if texts else [], strict=True):
            found += [ids, end] if piece.ends else [ids]
            text_bytes += len(piece.text.encode())
    return Tokens(np.concatenate(found), text_bytes)


def _cuts(model: cllm.Model) -> bool:
    return model.byte_tokens or model._text_tokenizer().cuts_exactly()


def of_texts(model: cllm.Model, texts: Iterable[str], *, ends: bool) -> Tokens:
    """The tokens of texts; with `ends` each ends with the end-of-text token."""
    chunks = ((text, True) for text in texts)
    return _tokens(model, cut_documents(chunks, _cuts(model), "text"), ends)


def _is_plain(name: str) -> bool:
    return kind_of(name) in ("text", None) and not name.lower().endswith(PACKED)


def documents_of(path: str) -> list[str]:
    """The files of a path that the engine does not read itself: JSONL and the like, packed ones,
    and a folder of texts."""
    if os.path.isdir(path):
        names = os.listdir(path)
        if "dataset.json" in names or any(name.endswith(".bin") for name in names):
            return []
        return find_files([path])
    if os.path.isfile(path):
        return [] if _is_plain(path) else [path]
    try:
        files = find_files([path])
    except cllm.InputError:
        return []  # the engine says what is wrong
    return [] if all(map(_is_plain, files)) else files


def of_path(model: cllm.Model, path: str) -> Tokens | None:
    """The tokens of text files; None for what the engine reads itself. Throws InputError, which
    names file and line or byte, for what cannot be read."""
    files = documents_of(path)
    ends = bool(files)
    if not files:
        files = model._texts_to_encode(path)
        ends = len(files) > 1
    if not files:
        return None
    exact = _cuts(model)
    read = _tokens(model, (piece for name in files for piece in cut_documents(
        InputFile(name, Reading()).chunks(), exact, name)), ends)
    if read.ids.size < 2:
        raise cllm.InputError(f"{path}: too little to evaluate: got {count(read.ids.size, 'token')}"
                              ", expected at least 2: one to see and one to predict")
    return read
