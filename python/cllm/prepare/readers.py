"""Each kind of file is read as a stream of texts: (text, whether its document ends there)."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from cllm._cllm import InputError
from cllm._words import option
from cllm.prepare.decoding import Decoder
from cllm.prepare.inputs import PACKED, kind_of

Chunks = Iterator[tuple[str, bool]]

LONGEST_LINE = 1 << 26  # characters of one record, which is held whole
LARGEST_JSON = 1 << 28  # bytes of one JSON text
csv.field_size_limit(LONGEST_LINE)


@dataclass(frozen=True)
class Reading:
    """How inputs are read."""

    field: str | None = None  # None: "text", or the only column
    encoding: str | None = None
    errors: str = "strict"


def missing(package: str, name: str) -> InputError:
    return InputError(f"{name}: needs {package}, which is not installed: pip install {package}")


def _plain(raw: BinaryIO, name: str) -> BinaryIO:
    """The unpacked bytes of a file."""
    if name.lower().endswith(".gz"):
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if name.lower().endswith(".zst"):
        try:
            import zstandard
        except ImportError:
            raise missing("zstandard", name) from None
        return _Zstandard(raw, zstandard.ZstdDecompressor())  # type: ignore[return-value]
    return raw


class _Zstandard:
    """The unpacked bytes of all frames; the library's own stream ends quietly where one is cut."""

    def __init__(self, raw: BinaryIO, library: Any) -> None:
        self._raw, self._library = raw, library
        self._frame: Any = None  # under way
        self._packed = self._unpacked = b""

    def read(self, size: int = -1) -> bytes:
        while not self._unpacked:
            # Little at once, because a few bytes may stand for very many.
            self._packed = self._packed or self._raw.read(1024)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the last frame has no end")
                return b""
            if self._frame is None:
                self._frame = self._library.decompressobj()
            self._unpacked = self._frame.decompress(self._packed)
            self._packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        size = size if size >= 0 else len(self._unpacked)
        found, self._unpacked = self._unpacked[:size], self._unpacked[size:]
        return found


class _Whole(io.RawIOBase):
    """Unpacked bytes, of which a damaged or cut archive is an InputError."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int = -1) -> bytes:
        parts, left = [], size
        while left != 0:
            try:
                part = self._stream.read(left)
            except (EOFError, OSError, zlib.error) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise InputError(f"{self._name}: cannot be read: {error.strerror}") from None
                raise self._damaged(error) from None
            except Exception as error:
                if type(error).__name__ != "ZstdError":
                    raise
                raise self._damaged(error) from None
            if not part:
                break
            parts.append(part)
            left -= len(part) if size >= 0 else 0
        return b"".join(parts)

    def _damaged(self, error: Exception) -> InputError:
        return InputError(f"{self._name}: damaged or cut short: {error}; copy or pack it again")


class InputFile:
    """One input. Its chunks can be read any number of times, and are the same each time."""

    def __init__(self, name: str, reading: Reading) -> None:
        self.name = name
        self._reading = reading
        self._decoder = Decoder(reading.encoding, reading.errors)
        self._halves = 0  # of characters, in JSON
        self._raw: BinaryIO | None = None
        self._kind = kind_of(name) or "text"

    def position(self) -> int:
        """Bytes of the file that were read so far, packed as they are."""
        return 0 if self._raw is None or self._raw.closed else self._raw.tell()

    def replaced(self) -> int:
        """Places of the last reading that were not decodable."""
        return self._decoder.replaced + self._halves

    def chunks(self) -> Chunks:
        self._decoder = Decoder(self._reading.encoding, self._reading.errors)
        self._halves = 0
        try:
            self._raw = open(self.name, "rb")  # noqa: SIM115
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read: {error.strerror}") from None
        with self._raw:
            if self._kind == "parquet":
                yield from self._parquet(self._raw)
                return
            stream: Any = _Whole(_plain(self._raw, self.name), self.name)
            if self._kind == "squad":
                yield from self._squad(stream)
                return
            read = {"text": self._text, "jsonl": self._jsonl}.get(self._kind, self._csv)
            yield from read(self._decoder.blocks(stream, self.name))

    # -- kinds ------------------------------------------------------------------------------------

    def _text(self, blocks: Iterator[str]) -> Chunks:
        for block in blocks:
            yield block, False
        yield "", True

    def _lines(self, blocks: Iterator[str]) -> Iterator[str]:
        """Lines with their ends; only line feeds end one."""
        rest, number = "", 1
        for block in blocks:
            *whole, rest = (rest + block).split("\n")
            for line in whole:
                yield line + "\n"
            number += len(whole)
            if len(rest) > LONGEST_LINE:
                raise InputError(f"{self.name}: line {number} has more than {LONGEST_LINE} "
                                 "characters: expected one record a line")
        if rest:
            yield rest

    def _jsonl(self, blocks: Iterator[str]) -> Chunks:
        field = self._reading.field or "text"
        for number, line in enumerate(self._lines(blocks), 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{self.name}: line {number} is no JSON: {error}") from None
            if isinstance(record, str) and self._reading.field is None:
                text: Any = record
            elif isinstance(record, dict):
                text = self._value(record, f"line {number}", field)
            else:
                raise self._no_field(f"line {number}", field, None)
            yield self._checked(text, f"line {number}", field), True

    def _value(self, record: dict[str, Any], where: str, field: str) -> Any:
        """What the field holds; dots lead to fields of objects inside."""
        if field in record:
            return record[field]
        found: Any = record
        for name in field.split("."):
            if not isinstance(found, dict) or name not in found:
                raise self._no_field(where, field, list(_names(record)))
            found = found[name]
        return found

    def _csv(self, blocks: Iterator[str]) -> Chunks:
        rows = csv.reader(self._lines(blocks), strict=True,
                          delimiter="\t" if self._kind == "tsv" else ",")
        try:
            names = next(filter(None, rows), None)  # blank lines come before it too
            if names is None:
                return
            column = self._column(names)
            for row in rows:
                if not row:
                    continue
                if len(row) != len(names):
                    raise InputError(f"{self.name}: line {rows.line_num}: got {len(row)} columns, "
                                     f"expected {len(names)} as in the first line")
                yield row[column], True
        except csv.Error as error:
            raise InputError(f"{self.name}: line {rows.line_num}: no CSV: {error}") from None

    def _column(self, names: list[str]) -> int:
        wanted = self._reading.field or ("text" if len(names) > 1 else names[0])
        if wanted not in names:
            raise self._no_field("the first line", wanted, names)
        return names.index(wanted)

    def _parquet(self, raw: BinaryIO) -> Chunks:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise missing("pyarrow", self.name) from None
        if self.name.lower().endswith(PACKED):
            raise InputError(f"{self.name}: Parquet is packed inside: unpack the file itself")
        row = 0
        try:
            file = pyarrow.parquet.ParquetFile(raw)
            names = file.schema_arrow.names
            column = names[self._column(names)] if names else ""
            for batch in file.iter_batches(batch_size=256, columns=[column], use_threads=False):
                for text in batch.column(0).to_pylist():
                    yield self._checked(text, f"row {row}", column), True
                    row += 1
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{self.name}: cannot be read as Parquet: {reason}") from None

    def _squad(self, stream: BinaryIO) -> Chunks:
        content = stream.read(LARGEST_JSON + 1)
        if len(content) > LARGEST_JSON:
            raise InputError(f"{self.name}: a JSON text of more than {LARGEST_JSON} bytes: "
                             "expected SQuAD, or one JSON record a line in a file named .jsonl")
        text = "".join(self._decoder.blocks(io.BytesIO(content), self.name))
        try:
            articles = json.loads(text)["data"]
            texts = [_question_text(paragraph) for article in articles
                     for paragraph in article["paragraphs"]]
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            raise InputError(f"{self.name}: no SQuAD: {type(error).__name__} {error}; expected "
                             "data, paragraphs, context, qas, or one record a line in a .jsonl"
                             ) from None
        for number, paragraph in enumerate(texts, 1):
            yield self._checked(paragraph, f"paragraph {number}", "context"), True

    # -- what is wrong ----------------------------------------------------------------------------

    def _no_field(self, where: str, field: str, names: list[str] | None) -> InputError:
        have = "no record" if names is None else ", ".join(names[:12]) or "no fields"
        return InputError(f'{self.name}: {where} has no field "{field}": got {have}, expected '
                          f"{option('field')} with the name of the text")

    def _checked(self, text: Any, where: str, field: str) -> str:
        if text is None:
            return ""
        if not isinstance(text, str):
            raise InputError(f'{self.name}: {where}: field "{field}" is no text: got '
                             f"{type(text).__name__}")
        try:
            text.encode()
        except UnicodeEncodeError:  # "\ud800" in JSON
            if self._reading.errors != "replace":
                raise InputError(f"{self.name}: {where}: half a character (a lone surrogate), "
                                 f"expected text ({option('errors', 'replace')} puts U+FFFD "
                                 "there)") from None
            self._halves += 1
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text


def _names(record: dict[str, Any], before: str = "") -> Iterator[str]:
    """Every field as --field names it."""
    for name, value in record.items():
        if isinstance(value, dict) and before.count(".") < 3:
            yield from _names(value, f"{before}{name}.")
        else:
            yield before + name


def _question_text(paragraph: dict[str, Any]) -> str:
    """A context, then each question with its first answer."""
    parts = [paragraph["context"].strip() + "\n"]
    for asked in paragraph["qas"]:
        answers = asked["answers"]
        answer = answers[0]["text"] if answers else "unanswerable"
        parts.append(f"\nQuestion: {asked['question'].strip()}\nAnswer: {answer.strip()}\n")
    return "".join(parts)


