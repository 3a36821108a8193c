"""The second reading turns batches into tokens, on several processes and in the order of the input.
"""

import os
import sys
import threading
import types
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process

import numpy
from numpy.typing import NDArray

from cllm._cllm import CllmError
from cllm._words import option
from cllm.prepare.pieces import Batch, Piece, cut_documents
from cllm.prepare.readers import InputFile, Reading
from cllm.prepare.scan import CUT, LEFT_OUT, TRAIN, VALIDATE, Choice, Source
from cllm.prepare.tokenizers import Encoder, Tokenizer

ALONE = 1 << 22  # characters of input that are not worth further processes


@dataclass
class Encoded:
    """Tokens of one part: ids, where documents begin, bytes of text."""

    tokens: NDArray[numpy.int32]
    starts: NDArray[numpy.int64]
    text_bytes: int


def _split(piece: Piece, byte: int) -> tuple[Piece, Piece]:
    """Cuts a document at the first line that begins after the character at `byte`, or there."""
    at = len(piece.text.encode()[:byte].decode(errors="ignore"))
    line = piece.text.find("\n", at) + 1
    cut = line if 0 < line < len(piece.text) else at
    return (Piece(piece.text[:cut], piece.starts, False),
            Piece(piece.text[cut:], True, piece.ends))


def placed_pieces(file: InputFile, parts: Iterator[int], choice: Choice,
                  exact: bool) -> Iterator[tuple[Piece, int]]:
    """Every piece with its part. `parts` has one for each document that is not empty."""
    part, seen = TRAIN, 0
    for piece in cut_documents(file.chunks(), exact, file.name):
        if piece.starts:
            part, seen = next(parts), 0
        if part != CUT:
            if part != LEFT_OUT:
                yield piece, part
            continue
        size = len(piece.text.encode())
        if seen + size <= choice.cut_at:
            yield piece, TRAIN
        else:
            before, after = _split(piece, choice.cut_at - seen)
            if before.text:
                yield before, TRAIN
            yield after, VALIDATE
            part = VALIDATE
        seen += size


def batches_of(source: Source, reading: Reading, parts: Iterator[int], choice: Choice,
               exact: bool) -> Iterator[Batch]:
    batch = Batch()
    file = InputFile(source.path, reading)
    for piece, part in placed_pieces(file, parts, choice, exact):
        batch.add(piece, part)
        if batch.full():
            yield batch
            batch = Batch()
    if batch.texts:
        yield batch


def encode_batch(encoder: Encoder, end: int, batch: Batch) -> list[Encoded]:
    """The tokens of both parts; the end-of-text token ends every document."""
    last = numpy.array([end], numpy.int32)
    found = [([], [], []) for _ in (TRAIN, VALIDATE)]  # type: ignore[var-annotated]
    at = [0, 0]
    for i, ids in enumerate(encoder.ids(batch.texts)):
        part = batch.parts[i]
        tokens, starts, sizes = found[part]
        if batch.starts[i]:
            starts.append(at[part])
        tokens.append(ids)
        if batch.ends[i]:
            tokens.append(last)
        at[part] += len(ids) + batch.ends[i]
        sizes.append(len(batch.texts[i].encode()))
    return [Encoded(numpy.concatenate(tokens) if tokens else numpy.empty(0, numpy.int32),
                    numpy.array(starts, numpy.int64), sum(sizes))
            for tokens, starts, sizes in found]


_encoder: Encoder | None = None


def _begin(tokenizer: Tokenizer) -> None:
    """A process that helps. It ends with the one that started it, however that ends."""
    global _encoder
    import signal

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # there are as many processes as are wanted
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        def watch(sentinel: int = parent.sentinel) -> None:
            connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
    _encoder = Encoder(tokenizer)


def _encode(end: int, batch: Batch) -> list[Encoded]:
    assert _encoder is not None
    return encode_batch(_encoder, end, batch)


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Processes that are started here do not run the user's script again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def encode_all(batches: Iterator[Batch], tokenizer: Tokenizer, processes: int,
               ) -> Iterator[tuple[Batch, list[Encoded]]]:
    """Batches with their tokens, in order; a few are under way at any time."""
    if processes == 1:
        encoder = Encoder(tokenizer)
        for batch in batches:
            yield batch, encode_batch(encoder, tokenizer.end, batch)
        return
    crew = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (tokenizer,))
    waiting: deque[tuple[Batch, Future[list[Encoded]]]] = deque()
    try:
        for batch in batches:
            with _main_hidden():
                waiting.append((batch, crew.submit(_encode, tokenizer.end, batch)))
            if len(waiting) > 2 * processes:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    except BrokenProcessPool:
        raise CllmError("a process that tokenizes was ended by the system, perhaps for its memory: "
                        f"go on with a smaller {option('processes')}") from None
    finally:
        crew.shutdown(wait=True, cancel_futures=True)
