"""Token files and data sets are read and written here: what `cllm prepare` makes, or you yourself.

A data set is a folder of token files with a description. This prints its documents::

    from cllm.token_files import DataSet

    data = DataSet("shakespeare")
    for tokens in data.documents("val"):
        print(data.decode(tokens))

A token file of your own tokens can be trained on like any other::

    from cllm.token_files import TokenWriter

    writer = TokenWriter("mine.bin", vocabulary=50257, width=2)
    writer.append([464, 2068, 7586, 50256])
    writer.finish()
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from cllm._cllm import InputError, TokenFileInfo, TokenWriter, read_token_file
from cllm._words import one_line, shown

__all__ = ["DataSet", "TokenFileInfo", "TokenWriter", "open_tokens", "read_token_file"]

DESCRIPTION = "dataset.json"
PARTS = ("train", "val")
LARGEST = 1 << 28  # bytes of a description

_COUNT, _TEXT, _LIST, _OBJECT = "a count", "a text", "a list", "an object"
_FORM: dict[str, Any] = {
    "format": _TEXT, "version": _COUNT,
    "tokenizer": {"kind": _TEXT, "vocabulary": _COUNT, "end_of_text": _COUNT, "sha256": _TEXT,
                  "files": _OBJECT},
    "width": _COUNT, "sources": _LIST,
    **{part: {"tokens": _COUNT, "documents": _COUNT, "text_bytes": _COUNT, "files": _LIST}
       for part in PARTS}}
_FILE = {"file": _TEXT, "tokens": _COUNT, "text_bytes": _COUNT}
TEXTS, EXAMPLES = 1, 2  # versions of descriptions
TRAINED, BEGINS = 1, 2  # bits of a mark: the token is trained, an example begins with it
MARKS = 4  # every mark is below it


def _fits(value: Any, kind: str) -> bool:
    if kind == _COUNT:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
    return isinstance(value, {_TEXT: str, _LIST: list, _OBJECT: dict}[kind])


def _check(path: Path, where: str, value: Any, form: dict[str, Any]) -> None:
    if not isinstance(value, dict):
        raise InputError(f"{path}: {where or 'the whole'}: expected an object")
    for name, kind in form.items():
        place = f"{where}.{name}" if where else name
        if isinstance(kind, dict):
            _check(path, place, value.get(name), kind)
        elif not _fits(value.get(name), kind):
            seen = json.dumps(value.get(name))[:40]
            raise InputError(f"{path}: {place}: got {seen}, expected {kind}")


def _check_name(path: Path, name: str) -> None:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise InputError(f"{path}: got {shown(name)} as a file of the data set: expected a name in "
                         "its folder")


def file_names(description: dict[str, Any]) -> list[str]:
    """Every file of a data set but its description."""
    names = list(description["tokenizer"]["files"])
    for part in PARTS:
        names += [file["file"] for file in description[part]["files"]]
        if description["version"] == EXAMPLES:
            names += [file["marks"] for file in description[part]["files"]]
        names += filter(None, [description[part].get("document_starts")])
    return names


def read_description(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a data set's dataset.json, checked."""
    path = Path(folder) / DESCRIPTION
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}: expected a folder that "
                         "`cllm prepare` made") from None
    try:
        if len(content) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        found = json.loads(content.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no description of a data set: {error}") from None
    if not isinstance(found, dict) or found.get("format") != "cllm data set":
        raise InputError(f"{path}: no description of a data set: expected one of `cllm prepare`")
    version = found.get("version")
    if isinstance(version, bool) or version not in (TEXTS, EXAMPLES):
        raise InputError(f"{path}: of another version: got {json.dumps(version)[:40]}, expected "
                         f"{TEXTS}, or {EXAMPLES} of examples (prepare the data set again)")
    _check(path, "", found, _FORM)
    form = _FILE | {"marks": _TEXT} if version == EXAMPLES else _FILE
    for part in PARTS:
        for i, file in enumerate(found[part]["files"]):
            _check(path, f"{part}.files[{i}]", file, form)
        total = sum(file["tokens"] for file in found[part]["files"])
        if total != found[part]["tokens"]:
            raise InputError(f"{path}: {part}: got files of {total} tokens, expected "
                             f"{found[part]['tokens']}")
        starts = found[part].get("document_starts")
        if starts is not None and not isinstance(starts, str):
            raise InputError(f"{path}: {part}.document_starts: expected the name of a file")
    for name in file_names(found):
        _check_name(path, name)
    return found


def open_tokens(path: str | os.PathLike[str], *, verify: bool = True) -> NDArray[Any]:
    """The tokens of a token file, mapped into memory: uint16 or uint32, read-only. With verify all
    its checksums and tokens are checked."""
    info = read_token_file(path, verify=verify)
    if not info.tokens:
        return numpy.empty(0, f"<u{info.width}")
    return numpy.memmap(path, f"<u{info.width}", "r", info.begin, (info.tokens,))


def _between(files: list[NDArray[Any]], begin: int, end: int) -> NDArray[Any]:
    """Numbers begin .. end - 1 of all files together, of which there is at least one."""
    pieces, first = [], 0
    for file in files:
        if first < end and first + len(file) > begin:
            pieces.append(file[max(begin - first, 0):end - first])
        first += len(file)
    return pieces[0] if len(pieces) == 1 else numpy.concatenate(pieces)


class DataSet:
    """A data set that `cllm prepare` made; its files are mapped, whatever their size.

    Args:
        folder: Where dataset.json lies.
        verify: Checks every checksum and token at once.
    """

    def __init__(self, folder: str | os.PathLike[str], *, verify: bool = False) -> None:
        self.folder = Path(folder)
        self.description: dict[str, Any] = read_description(folder)
        """What dataset.json says."""
        tokenizer = self.description["tokenizer"]
        self.vocabulary: int = tokenizer["vocabulary"]
        """Every token is below it."""
        self.end_of_text: int = tokenizer["end_of_text"]
        """The token that ends a document."""
        self.has_examples: bool = self.description["version"] == EXAMPLES
        """Whether its documents are examples, of which only some tokens are trained."""
        self._files: dict[str, list[NDArray[Any]]] = {part: [] for part in PARTS}
        self._marks: dict[str, list[NDArray[Any]]] = {part: [] for part in PARTS}
        for part in PARTS:
            for file in self.description[part]["files"]:
                self._files[part].append(self._opened(file, file["file"], self.vocabulary, verify))
                if self.has_examples:
                    self._marks[part].append(self._opened(file, file["marks"], MARKS, verify))
        self._tokenizer: Any = None

    def __repr__(self) -> str:
        sizes = ", ".join(f"{self.description[part]['tokens']:,} tokens of {part}"
                          for part in PARTS)
        return f"<DataSet {self.folder}: {sizes}, vocabulary {self.vocabulary:,}>"

    def _opened(self, file: dict[str, Any], name: str, vocabulary: int, verify: bool,
                ) -> NDArray[Any]:
        path = self.folder / name
        info = read_token_file(path, verify=verify)
        sha256 = self.description["tokenizer"]["sha256"]
        if info.tokenizer.hex() != sha256:
            raise InputError(f"{path}: of another tokenizer: got {info.tokenizer.hex()[:12]}, "
                             f"expected {one_line(sha256, 12)} as dataset.json says")
        for what, seen, wanted in (("tokens", info.tokens, file["tokens"]),
                                   ("words of the vocabulary", info.vocabulary, vocabulary)):
            if seen != wanted:
                raise InputError(f"{path}: got {seen} {what}, expected {wanted} as dataset.json "
                                 "says")
        return open_tokens(path, verify=False)

    def _part(self, part: str) -> dict[str, Any]:
        if part not in PARTS:
            raise InputError(f'part: got "{part}", expected train or val')
        found: dict[str, Any] = self.description[part]
        return found

    def files(self, part: str = "train") -> list[NDArray[Any]]:
        """The tokens of a part, "train" or "val", file by file."""
        self._part(part)
        return list(self._files[part])

    def document_starts(self, part: str = "train") -> NDArray[numpy.uint64]:
        """At which tokens of a part documents begin, counted through all its files."""
        name, documents = self._part(part).get("document_starts"), self._part(part)["documents"]
        if name is None:
            return numpy.empty(0, "<u8")
        path = self.folder / name
        try:
            starts: NDArray[Any] = numpy.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # of a damaged header it raises what its parts raise
            raise InputError(f"{path}: document starts cannot be read: {error}") from None
        if starts.dtype != numpy.dtype("<u8") or starts.shape != (documents,):
            raise InputError(f"{path}: got {starts.dtype} of shape {starts.shape}, expected "
                             f"{documents} numbers of 64 bits as dataset.json says")
        return starts

    def documents(self, part: str = "train") -> Iterator[NDArray[Any]]:
        """The tokens of every document of a part, each without its end-of-text token."""
        for begin, end in self._borders(part):
            tokens = _between(self._files[part], begin, end)
            yield tokens[:-1] if tokens[-1] == self.end_of_text else tokens

    def examples(self, part: str = "train",
                 ) -> Iterator[tuple[NDArray[Any], NDArray[numpy.bool_]]]:
        """The tokens of every example of a part, and which of them are trained."""
        if not self.has_examples:
            raise InputError(f"{self.folder}: documents, of which all tokens are trained: expected "
                             "a data set of cllm prepare --chat")
        for begin, end in self._borders(part):
            marks = _between(self._marks[part], begin, end)
            yield _between(self._files[part], begin, end), (marks & TRAINED) != 0

    def _borders(self, part: str) -> Iterator[tuple[int, int]]:
        """Where each document begins and ends."""
        starts, total = self.document_starts(part), sum(map(len, self._files[part]))
        for i in range(len(starts)):
            begin = int(starts[i])
            end = int(starts[i + 1]) if i + 1 < len(starts) else total
            if not begin < end <= total:
                raise InputError(f"{self.folder}: document {i} of {part}: got tokens {begin} to "
                                 f"{end}, expected some below {total}")
            yield begin, end

    def decode(self, tokens: Any) -> str:
        """The text of tokens, by the data set's tokenizer."""
        if self._tokenizer is None:
            import tokenizers  # slow to import

            path = self.folder / "tokenizer.json"
            try:
                self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
            except Exception as error:
                raise InputError(f"{path}: the tokenizer cannot be read: {error}") from None
        text: str = self._tokenizer.decode([int(token) for token in tokens],
                                           skip_special_tokens=False)
        return text

    def bits_per_byte(self, loss: float, part: str = "val") -> float:
        """A loss in nats a token as bits per byte of the part's text, which can be compared across
        tokenizers."""
        found = self._part(part)
        if not found["text_bytes"]:
            raise InputError(f"{self.folder}: {part} holds no text")
        return loss / math.log(2) * float(found["tokens"]) / float(found["text_bytes"])
