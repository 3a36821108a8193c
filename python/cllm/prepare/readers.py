"""Each kind of file is read as a stream of texts: (text, whether its document ends there)."""

import csv
import io
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from cllm import _words as words
from cllm._cllm import InputError
from cllm._words import option
from cllm.prepare.decoding import Decoder
from cllm.prepare.inputs import PACKED, kind_of
from cllm.prepare.unpacking import Whole, missing, unpacked

Chunks = Iterator[tuple[str, bool]]
Records = Generator[tuple[str, Any], None, None]  # who stops early closes it

LONGEST_LINE = 1 << 26  # characters of one record, which is held whole
LARGEST_JSON = 1 << 28  # bytes of one JSON text
csv.field_size_limit(LONGEST_LINE)


@dataclass(frozen=True)
class Reading:
    """How inputs are read."""

    field: str | None = None  # None: "text", or the only column
    encoding: str | None = None
    errors: str = "strict"


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
        with self._opened() as raw:
            if self._kind == "parquet":
                yield from self._parquet(raw)
                return
            stream: Any = Whole(unpacked(raw, self.name), self.name)
            if self._kind == "squad":
                yield from self._squad(stream)
                return
            read = {"text": self._text, "jsonl": self._jsonl}.get(self._kind, self._csv)
            yield from read(self._decoder.blocks(stream, self.name))

    def records(self) -> Records:
        """Whole records in place of texts: the objects of a JSONL or of a list in JSON, the rows of
        a table by the names of its columns. Each comes with its place, such as "line 3"."""
        with closing(self._unchecked_records()) as records:
            for place, record in records:
                try:
                    whole = self._whole(record, place)
                except RecursionError:
                    raise InputError(f"{self.name}: {place} is nested too deeply: expected texts "
                                     "in a few lists and objects") from None
                yield place, whole

    def _unchecked_records(self) -> Records:
        with self._opened() as raw:
            if self._kind == "parquet":
                yield from self._parquet_rows(raw, None)
                return
            stream: Any = Whole(unpacked(raw, self.name), self.name)
            if self._kind == "squad":
                yield from self._json_records(stream)
                return
            blocks = self._decoder.blocks(stream, self.name)
            if self._kind in ("csv", "tsv"):
                for place, names, row in self._rows(blocks, self._check_names):
                    yield place, dict(zip(names, row, strict=True))
            else:
                yield from self._json_lines(self._lines(blocks))

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """The file from its begin, with nothing read or replaced so far."""
        self._decoder = Decoder(self._reading.encoding, self._reading.errors)
        self._halves = 0
        try:
            self._raw = open(self.name, "rb")  # noqa: SIM115
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read: {error.strerror}") from None
        with self._raw as raw:
            yield raw

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

    def _json_lines(self, lines: Iterator[str]) -> Records:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{self.name}: line {number} is no JSON: {error}") from None
            yield f"line {number}", record

    def _jsonl(self, blocks: Iterator[str]) -> Chunks:
        field = self._reading.field or "text"
        for place, record in self._json_lines(self._lines(blocks)):
            if isinstance(record, str) and self._reading.field is None:
                text: Any = record
            elif isinstance(record, dict):
                text = self._value(record, place, field)
            else:
                raise self._no_field(place, field, None)
            yield self._checked(text, place, field), True

    def _json_records(self, stream: BinaryIO) -> Records:
        """The objects of a list. A file of this name may as well hold one object a line."""
        text = self._whole_json(stream, "a list of records")
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            if not error.msg.startswith("Extra data"):
                raise InputError(f"{self.name}: no JSON: {error}") from None
            yield from self._json_lines(iter(text.split("\n")))
            return
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.name}: no JSON: {error}") from None
        for number, record in enumerate(content if isinstance(content, list) else [content], 1):
            yield f"record {number}", record

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
        column: int | None = None
        for _, names, row in self._rows(blocks, self._column):
            column = self._column(names) if column is None else column
            yield row[column], True

    def _rows(self, blocks: Iterator[str], check: Callable[[list[str]], object] = len,
              ) -> Iterator[tuple[str, list[str], list[str]]]:
        """Place, names of the columns, and values of each row; `check` sees the names first."""
        rows = csv.reader(self._lines(blocks), strict=True,
                          delimiter="\t" if self._kind == "tsv" else ",")
        try:
            names = next(filter(None, rows), None)  # blank lines come before it too
            if names is None:
                return
            check(names)
            for row in rows:
                if not row:
                    continue
                if len(row) != len(names):
                    raise InputError(f"{self.name}: line {rows.line_num}: got {len(row)} columns, "
                                     f"expected {len(names)} as in the first line")
                yield f"line {rows.line_num}", names, row
        except csv.Error as error:
            raise InputError(f"{self.name}: line {rows.line_num}: no CSV: {error}") from None

    def _column(self, names: list[str]) -> int:
        wanted = self._reading.field or ("text" if len(names) > 1 else names[0])
        if wanted not in names:
            raise self._no_field("the first line", wanted, names)
        self._check_names(names, wanted)
        return names.index(wanted)

    def _check_names(self, names: list[str], wanted: str | None = None) -> None:
        """Raises InputError where several columns have one name, that which is wanted or any; those
        without a name are not read."""
        for name in dict.fromkeys(names) if wanted is None else (wanted,):
            if name and names.count(name) > 1:
                raise InputError(f"{self.name}: several columns of one name: got "
                                 f"{words.shown(name)} {names.count(name)} times, expected a name "
                                 "for each")

    def _parquet(self, raw: BinaryIO) -> Chunks:
        with closing(self._parquet_rows(raw, self._column)) as rows:
            for place, row in rows:
                ((column, text),) = row.items()
                yield self._checked(text, place, column), True

    def _parquet_rows(self, raw: BinaryIO, choose: Callable[[list[str]], int] | None) -> Records:
        """The rows, of all columns or of the one that is chosen from their names."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise missing("pyarrow", self.name) from None
        if self.name.lower().endswith(PACKED):
            raise InputError(f"{self.name}: Parquet is packed inside: unpack the file itself")
        number = 0
        try:
            # Threads of pyarrow that still read when Python ends would abort the process.
            with pyarrow.parquet.ParquetFile(raw, pre_buffer=False) as file:
                names = file.schema_arrow.names
                if choose is None:
                    self._check_names(names)
                columns = names if choose is None else [names[choose(names)]] if names else [""]
                for batch in file.iter_batches(batch_size=256, columns=columns, use_threads=False):
                    for row in batch.to_pylist():
                        yield f"row {number}", row
                        number += 1
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = words.one_line(" ".join(str(error).split()), 200)
            raise InputError(f"{self.name}: cannot be read as Parquet: {reason}") from None

    def _whole_json(self, stream: BinaryIO, wanted: str) -> str:
        content = stream.read(LARGEST_JSON + 1)
        if len(content) > LARGEST_JSON:
            raise InputError(f"{self.name}: a JSON text of more than {LARGEST_JSON} bytes: "
                             f"expected {wanted}, or one JSON record a line in a file named "
                             ".jsonl")
        return "".join(self._decoder.blocks(io.BytesIO(content), self.name))

    def _squad(self, stream: BinaryIO) -> Chunks:
        text = self._whole_json(stream, "SQuAD")
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
        have = "no record" if names is None else words.names(names) or "no fields"
        return InputError(f'{self.name}: {where} has no field "{field}": got {have}, expected '
                          f"{option('field')} with the name of the text")

    def _checked(self, text: Any, where: str, field: str) -> str:
        if text is None:
            return ""
        if not isinstance(text, str):
            raise InputError(f'{self.name}: {where}: field "{field}" is no text: got '
                             f"{type(text).__name__}")
        return self._whole_text(text, where)

    def _whole(self, value: Any, where: str) -> Any:
        """The same with whole characters in every text."""
        if isinstance(value, str):
            return self._whole_text(value, where)
        if isinstance(value, list):
            return [self._whole(one, where) for one in value]
        if isinstance(value, dict):
            return {self._whole_text(name, where): self._whole(one, where)
                    for name, one in value.items()}
        return value

    def _whole_text(self, text: str, where: str) -> str:
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


