"""Files of examples are read as tokens, one after the other, and what became of them is counted."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cllm._cllm import InputError
from cllm._words import count, option
from cllm.chat.counts import Counts
from cllm.chat.encode import Encoded, Encoder
from cllm.chat.example import Conversation, Dropped, Example
from cllm.chat.folders import find_chats
from cllm.chat.formats import check_format, example_of, format_of
from cllm.chat.tokenizer import ChatTokenizer
from cllm.prepare.decoding import check_encoding
from cllm.prepare.inputs import kind_of
from cllm.prepare.readers import InputFile, Reading

LENGTH = 1024  # tokens of an example, where nobody says how many
_TABLE = "a table without rows"
_NO_RECORDS = {"squad": "an empty list", "csv": _TABLE, "tsv": _TABLE, "parquet": _TABLE}


class Examples:
    """The examples of some files. They can be read any number of times, and are the same each time;
    `counts` is of the last time."""

    def __init__(self, files: list[str], form: str, encoder: Encoder, reading: Reading) -> None:
        self.files, self.format, self.encoder = files, form, encoder
        self.reading = reading
        self.counts = Counts()
        self.read = 0  # bytes, packed as they are

    def __iter__(self) -> Iterator[Encoded]:
        """Raises InputError for a file that is wrong, and where no example is left."""
        counts = self.counts = Counts()
        self.read = 0
        for name in self.files:
            file = InputFile(name, self.reading)
            before = self.read
            with closing(file.records()) as records:
                for place, record in records:
                    self.read = before + file.position()
                    where = f"{name}: {place}"
                    counts.examples += 1
                    try:
                        encoded = self.encoder.encode(
                            example_of(record, self.format, where), where)
                    except Dropped as why:
                        counts.drop(why, where)
                        continue
                    counts.keep(encoded)
                    yield encoded
            self.read = before + Path(name).stat().st_size
            counts.replaced += file.replaced()
        if not counts.kept:
            raise InputError(self._why_none())

    def _why_none(self) -> str:
        counts, files = self.counts, ", ".join(self.files)
        if not counts.examples:
            return _no_examples(self.files)
        why = "; ".join(f"{found.number:,} {reason} (first: {found.where}"
                        f"{', ' + found.detail if found.detail else ''})"
                        for reason, found in counts.dropped.items())
        return f"{files}: nothing to train on: of {count(counts.examples, 'example')} {why}"


@dataclass(frozen=True)
class Chats:
    """What open_chats() found."""

    train: Examples
    """The examples to train on."""
    validation: Examples | None
    """Those of the folder's validation files."""
    passed: list[str]
    """Files of the folder that are not read."""
    encoder: Encoder
    """What makes tokens of them."""


def open_chats(path: str | Path, model: str | Path, *, format: str | None = None,
               chat_template: str | Path | None = None, max_length: int | None = None,
               end_of_text: str | None = None, encoding: str | None = None,
               errors: str = "strict") -> Chats:
    """Looks at the first example and at the model. Iterating over `train` reads the others.

    Args:
        path: A file of examples (.jsonl, .json, .csv, .parquet, also packed), or a folder with
            train and valid files.
        model: The folder of a model, or of a run, with its tokenizer and template.
        format: "messages", "prompt", "alpaca", "sharegpt" or "text"; None: by the keys of the first
            example.
        chat_template: A file in Jinja, or the name of one of several that the model has; None: the
            model's.
        max_length: An example is cut after so many tokens; None: 1024, or what the model can read.
        end_of_text: The token that ends a text, where the tokenizer does not say.
        encoding: Of files without a mark; None: UTF-8.
        errors: Of undecodable bytes: "strict" refuses them, "replace" puts U+FFFD there.
    """
    if format is not None:
        check_format(format)
    if encoding is not None:
        check_encoding(encoding)
    if errors not in ("strict", "replace"):
        raise InputError(f'{option("errors")}: got "{errors}", expected strict or replace')
    files = find_chats(path)
    reading = Reading(None, encoding, errors)
    tokenizer = ChatTokenizer(Path(model), end_of_text)
    encoder = Encoder(tokenizer, None if chat_template is None else str(chat_template),
                      _length(max_length, tokenizer))
    form, first = _first(files.train, reading, format)
    if chat_template is not None or isinstance(first, Conversation):
        encoder.templates.of(None)  # what is wrong with them is said now
    train = Examples(files.train, form, encoder, reading)
    validation = Examples(files.validation, form, encoder, reading) if files.validation else None
    return Chats(train, validation, files.passed, encoder)


def _first(files: list[str], reading: Reading, asked: str | None) -> tuple[str, Example]:
    """The form of the first record, and the example in it."""
    for name in files:
        with closing(InputFile(name, reading).records()) as records:
            for place, record in records:
                where = f"{name}: {place}"
                form = asked or format_of(record, where)
                return form, example_of(record, form, where)
    raise InputError(_no_examples(files))


def _no_examples(files: list[str]) -> str:
    got = "an empty file"
    if any(Path(name).stat().st_size for name in files):
        got = _NO_RECORDS.get(kind_of(files[0]) or "", "no records")
    return f"{', '.join(files)}: no examples: got {got}, expected at least one record"


def _length(asked: int | None, tokenizer: ChatTokenizer) -> int:
    most = tokenizer.context
    if asked is None:
        return min(LENGTH, most or LENGTH)
    if asked < 2 or (most is not None and asked > most):
        raise InputError(f"{option('max-length')}: got {asked}, expected 2 to "
                         f"{f'{most}, what the model can read' if most else 'as many as you like'}")
    return asked
