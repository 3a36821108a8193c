"""Examples of answers become a data set: their tokens and, beside them, which of them are trained.

A work that is interrupted begins again: examples are few, and until all of them are read nothing
stands in the folder.
"""

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

import cllm
from cllm._cllm import CllmError, InputError
from cllm._words import count, flag, option
from cllm.chat.chats import Chats, Examples, open_chats
from cllm.chat.counts import Counts
from cllm.chat.encode import CUT, Encoded
from cllm.chat.template import FILE as TEMPLATE
from cllm.prepare import scan, tokenizers
from cllm.prepare.describe import asked_of, part_of, write_description
from cllm.prepare.folder import Folder
from cllm.prepare.report import Report
from cllm.prepare.store import Marks, Part, Progress, write_json
from cllm.prepare.tokenizers import Tokenizer
from cllm.token_files import BEGINS, DESCRIPTION, EXAMPLES, PARTS, TRAINED, read_description

TRAIN, VALIDATE = PARTS
NONE = numpy.empty(0, numpy.int64)


def marks_of(example: Encoded) -> NDArray[numpy.int32]:
    """A number for each token. The first one begins the example and is predicted from nothing."""
    marks = example.trained * numpy.int32(TRAINED)
    marks[0] = BEGINS
    return marks


class Choice:
    """Which examples validate: of every 1 / `fraction` different ones the last. One that was seen
    goes where it went before; of training files that is nowhere if the validation files have it, so
    that none is in both parts."""

    def __init__(self, fraction: float) -> None:
        self._fraction = fraction
        self._parts: dict[bytes, str | None] = {}

    def hold(self, example: Encoded) -> None:
        """It stands in the validation files."""
        self._parts[self._key(example)] = None

    def part_of(self, example: Encoded) -> str | None:
        key = self._key(example)
        if key not in self._parts:
            number = len(self._parts)
            last = math.floor((number + 1) * self._fraction) > math.floor(number * self._fraction)
            self._parts[key] = VALIDATE if last else TRAIN
        return self._parts[key]

    @staticmethod
    def _key(example: Encoded) -> bytes:
        return hashlib.blake2b(example.ids.tobytes(), digest_size=8).digest()


class _Parts:
    """The files of both parts while they grow."""

    def __init__(self, work: Path, tokenizer: Tokenizer) -> None:
        self.trained = dict.fromkeys(PARTS, 0)
        self._tokens = {name: Part(work, name, tokenizer.vocabulary, tokenizer.sha256, Progress())
                        for name in PARTS}
        self._marks = {name: Marks(work, name, tokenizer.sha256) for name in PARTS}

    def append(self, part: str, example: Encoded) -> None:
        marks = marks_of(example)
        self._tokens[part].append(example.ids.astype(numpy.int32), numpy.zeros(1, numpy.int64), 0)
        self._marks[part].append(marks, NONE, 0)
        self.trained[part] += int((marks & TRAINED).sum())

    def finish(self) -> dict[str, Any]:
        """What the description says of them."""
        made: dict[str, Any] = {}
        for name in PARTS:
            tokens, marks = self._tokens[name], self._marks[name]
            tokens.seal()
            marks.seal()
            made[name] = part_of(tokens.progress, tokens.write_starts())
            made[name]["trained_tokens"] = self.trained[name]
            for file, beside in zip(made[name]["files"], marks.progress.shards, strict=True):
                file["marks"] = beside.file
        return made

    def close(self) -> None:
        for part in (*self._tokens.values(), *self._marks.values()):
            part.close()


def _sources(chats: Chats) -> list[scan.Source]:
    found = []
    for examples in (chats.train, chats.validation):
        for path in examples.files if examples is not None else ():
            source = scan.Source(path, examples is not chats.train)
            source.size, source.changed = scan.stamp(path)
            with open(path, "rb") as file:
                source.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            found.append(source)
    return found


def _counts(counts: Counts) -> dict[str, Any]:
    """What became of the examples of some files."""
    found = {reason: one.number for reason, one in counts.notes.items()}
    return {"examples": counts.examples, "kept": counts.kept, "tokens": counts.tokens,
            "trained_tokens": counts.trained, "longest": counts.longest,
            "cut": found.pop(CUT, 0), "cut_tokens": counts.cut_tokens,
            "replaced": counts.replaced, "notes": found,
            "dropped": {reason: one.number for reason, one in counts.dropped.items()},
            "first": {reason: one.first for reason, one in (counts.dropped | counts.notes).items()
                      if reason != CUT}}


def _tokenizer(chats: Chats, end_of_text: str | None) -> Tokenizer:
    """That of the model, with the template by which the examples were made."""
    encoder = chats.encoder
    made = tokenizers.of_file(encoder.tokenizer.folder, end_of_text)
    if not encoder.has_read_templates:
        return made
    source = encoder.templates.of(None).source
    kept = made.files.get(TEMPLATE, b"").decode("utf-8-sig", "replace")
    if kept.replace("\r\n", "\n").replace("\r", "\n") != source:
        made = replace(made, files=made.files | {TEMPLATE: source.encode()})
    return made


class Writer:
    """Makes one data set of examples."""

    def __init__(self, chats: Chats, folder: Folder, asked: dict[str, Any], report: Report,
                 ) -> None:
        self._chats, self._folder, self._asked, self._report = chats, folder, asked, report
        self._left_out = 0

    def begin(self) -> bool:
        """Whether there is something to do: what another command left unfinished is refused, and
        what this one had made is whole."""
        folder = self._folder
        before: tuple[dict[str, Any], str] | None = None
        if folder.made.exists():
            made = json.loads(folder.made.read_bytes())
            before = asked_of(made), made["cllm"]
        elif folder.state.exists():
            state = json.loads(folder.state.read_bytes())
            before = state["asked"], state["cllm"]
        same = before is None or before == (self._asked, cllm.__version__)
        if not same and not folder.force:
            raise InputError(f"{folder.out}: an unfinished data set of other settings is there: "
                             f"expected the same command, or {flag('force')} to begin anew")
        if same and folder.made.exists():
            return False
        folder.clear()
        write_json(folder.state, {"cllm": cllm.__version__, "asked": self._asked})
        return True

    def make(self, fraction: float, tokenizer: Tokenizer) -> None:
        chats, sources = self._chats, _sources(self._chats)
        choice = Choice(0 if chats.validation is not None else fraction)
        parts = _Parts(self._folder.work, tokenizer)
        try:
            for example in self._read(chats.validation):
                choice.hold(example)
                parts.append(VALIDATE, example)
            for example in self._read(chats.train):
                part = choice.part_of(example)
                if part is None:
                    self._left_out += 1
                else:
                    parts.append(part, example)
            if not parts.trained[TRAIN]:
                raise InputError(f"{', '.join(chats.train.files)}: nothing to train on: every "
                                 "example stands in the validation files too")
            for source in sources:
                scan.check_unchanged(source)
            made = parts.finish()
        finally:
            parts.close()
        self._describe(tokenizer, made, sources)

    def _read(self, examples: Examples | None) -> Iterator[Encoded]:
        if examples is None:
            return
        size = sum(os.stat(name).st_size for name in examples.files)
        self._report.stage("reading", size)
        for example in examples:
            yield example
            self._report.at(examples.read)

    def _describe(self, tokenizer: Tokenizer, made: dict[str, Any], sources: list[scan.Source],
                  ) -> None:
        chats = self._chats
        read = {TRAIN: _counts(chats.train.counts)}
        if chats.validation is not None:
            read[VALIDATE] = _counts(chats.validation.counts)
        ends: Counter[int] = chats.train.counts.ends
        settings = {name: value for name, value in self._asked.items()
                    if name not in ("inputs", "validation")}
        write_description(self._folder.made, tokenizer, {
            **made,
            "examples": {"form": chats.train.format, "length": chats.encoder.length,
                         "left_out": self._left_out, "answers_end_with": dict(ends.most_common()),
                         "read": read},
            "sources": [{"path": source.path, "bytes": source.size, "sha256": source.sha256,
                         "validates": source.validates} for source in sources],
            "settings": settings}, version=EXAMPLES)

    def tell(self) -> None:
        if self._left_out:
            self._report.say(f"left out {count(self._left_out, 'example')} that the validation "
                             "files hold too")


def write_chats(chats: Chats, out: str | Path, *, val_fraction: float = 0.1,
                end_of_text: str | None = None, force: bool = False,
                progress: bool | None = None, wait: Callable[[], None] | None = None,
                ) -> dict[str, Any]:
    """Makes a data set of opened examples; see prepare_chats(). `wait` is called again and again
    while another process makes one in this folder, which is then taken as it is."""
    if not 0 <= val_fraction < 1:
        raise InputError(f"{option('val-fraction')}: got {val_fraction}, expected 0 (none) to "
                         "below 1")
    place, encoder = Path(out), chats.encoder
    tokenizer = _tokenizer(chats, end_of_text)
    template = tokenizer.files.get(TEMPLATE, b"") if encoder.has_read_templates else b""
    reading = chats.train.reading
    asked = {"inputs": list(chats.train.files),
             "validation": list(chats.validation.files) if chats.validation is not None else [],
             "chat": {"form": chats.train.format, "length": encoder.length,
                      "template_sha256": hashlib.sha256(template).hexdigest(),
                      "fraction": val_fraction, "encoding": reading.encoding,
                      "errors": reading.errors},
             "end_of_text": end_of_text, "tokenizer_sha256": tokenizer.sha256.hex()}
    report = Report(progress)
    try:
        with Folder(place, force=force, wait=wait) as folder:
            writer = Writer(chats, folder, asked, report)
            if wait is None or not (place / DESCRIPTION).exists():
                if writer.begin():
                    writer.make(val_fraction, tokenizer)
                folder.publish()
            description = read_description(place)
            folder.remove()
        report.close()
        writer.tell()
    except OSError as error:
        raise CllmError(f"{place}: the data set cannot be written: {error.strerror or error}; with "
                        "that put right, the same command begins again") from error
    finally:
        report.close()
    return description


def prepare_chats(data: str | Path, out: str | Path, *, model: str | Path,
                  format: str | None = None, chat_template: str | Path | None = None,
                  max_length: int | None = None, val_fraction: float = 0.1,
                  end_of_text: str | None = None, encoding: str | None = None,
                  errors: str = "strict", force: bool = False, progress: bool | None = None,
                  ) -> dict[str, Any]:
    """Makes a data set of examples of answers in the folder `out`, and returns what its
    dataset.json says. Interrupted, it leaves nothing that would be taken for a data set.

    Args:
        data: A file of examples (.jsonl, .json, .csv, .parquet, also packed), or a folder with
            train and valid files.
        out: A new folder.
        model: The folder of a model, or of a run, with its tokenizer and template.
        format: "messages", "prompt", "alpaca", "sharegpt" or "text"; None: by the keys of the first
            example.
        chat_template: A file in Jinja, or the name of one of several that the model has; None: the
            model's.
        max_length: An example is cut after so many tokens; None: 1024, or what the model can read.
        val_fraction: Without validation files, part of the examples that validates.
        end_of_text: The token that ends a text, where the tokenizer does not say.
        encoding: Of files without a mark; None: UTF-8.
        errors: Of undecodable bytes: "strict" refuses them, "replace" puts U+FFFD there.
        force: Replaces a data set that is there.
        progress: Says on standard error how far the work is; None: on a terminal and in notebooks.
    """
    chats = open_chats(data, model, format=format, chat_template=chat_template,
                       max_length=max_length, end_of_text=end_of_text, encoding=encoding,
                       errors=errors)
    return write_chats(chats, out, val_fraction=val_fraction, end_of_text=end_of_text, force=force,
                       progress=progress)
