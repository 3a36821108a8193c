"""What `cllm prepare --chat` does and prints: examples with their trained tokens, what became of
all."""

import shlex
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import typer
from rich.console import Console

import cllm
from cllm import _process
from cllm._words import count, one_line
from cllm.chat import Chats, Examples, open_chats
from cllm.chat.counts import Counts
from cllm.chat.data_set import write_chats
from cllm.chat.encode import CUT
from cllm.chat.formats import FORMS
from cllm.chat.show import show
from cllm.prepare.report import Report


def _tell_what(examples: Examples, asked: str | None) -> None:
    files = ", ".join(examples.files)
    how = "" if asked else " (--format says otherwise)"
    _process.tell(one_line(f"data    {files}: {FORMS[examples.format]}{how}"))


def _read(examples: Examples, shown: int, console: Console, quiet: bool) -> Counts:
    report = Report(False if quiet else None)
    report.stage("reading", sum(Path(name).stat().st_size for name in examples.files))
    try:
        for number, example in enumerate(examples):
            if number < shown:
                report.close()
                show(example, examples.encoder.tokenizer, console)
            report.at(examples.read)
    finally:
        report.close()
    return examples.counts


def _summary(examples: Examples, what: str) -> None:
    counts, encoder = examples.counts, examples.encoder
    typer.echo(f"{what}: {counts.kept:,} of {count(counts.examples, 'example')}, "
               f"{count(counts.tokens, 'token')}, {counts.trained:,} of them trained")
    for found, sentence in ((counts.dropped, "dropped"), (counts.notes, "note")):
        for reason, one in found.items():
            if reason == CUT:
                reason = (f"cut after {count(encoder.length, 'token')}, which leaves out "
                          f"{counts.cut_tokens:,}; the longest has {counts.longest:,}")
            _process.tell(one_line(f"{sentence:<8}{count(one.number, 'example')} {reason} "
                                   f"(first: {one.first})"))
    if counts.replaced:
        _process.tell(f"note    replaced {count(counts.replaced, 'undecodable place')} by U+FFFD")
    if counts.ends:
        names = ", ".join(encoder.tokenizer.name(token) for token, _ in counts.ends.most_common())
        typer.echo(f"  answers end with {names}")


@dataclass(frozen=True)
class Asked:
    """What the command line says of examples."""

    inputs: list[Path]
    model: Path | None
    form: str | None
    chat_template: str | None
    max_length: int | None
    end_of_text: str | None
    encoding: str | None
    errors: str

    def open(self, shown: int, quiet: bool) -> Chats:
        """Says what the examples are and how they are rendered."""
        if self.model is None:
            raise cllm.InputError("--model: no model: expected the folder of one, whose tokenizer "
                                  "and template the examples are for")
        if len(self.inputs) != 1:
            names = " ".join(shlex.quote(str(one)) for one in self.inputs)
            raise cllm.InputError(f"INPUT: got {names}, expected one file of examples, or a folder "
                                  "with train and valid files")
        if shown < 0:
            raise cllm.InputError(f"--show: out of range: got {shown}, expected at least 0")
        chats = open_chats(self.inputs[0], self.model, format=self.form,
                           chat_template=self.chat_template, max_length=self.max_length,
                           end_of_text=self.end_of_text, encoding=self.encoding,
                           errors=self.errors)
        if quiet:
            return chats
        _tell_what(chats.train, self.form)
        if chats.encoder.has_read_templates:
            template = chats.encoder.templates.of(None)
            how = "its marks" if template.marks else "the difference of renderings"
            _process.tell(one_line(f"chat    template {template.place}; answers by {how}"))
        for name in chats.passed:
            _process.tell(one_line(f"note    {name} is not read"))
        return chats

    def show(self, shown: int, *, quiet: bool) -> None:
        """Reads all examples, prints the first ones and the counts."""
        chats = self.open(shown, quiet)
        console = Console(soft_wrap=True, highlight=False)
        _read(chats.train, shown, console, quiet)
        _summary(chats.train, "train")
        if chats.validation is not None:
            _read(chats.validation, 0, console, quiet)
            _summary(chats.validation, "validate")

    def make(self, out: Path, shown: int, *, val_fraction: float, force: bool, quiet: bool,
             ) -> None:
        """Makes a data set, and prints the same."""
        chats = self.open(shown, quiet)
        console = Console(soft_wrap=True, highlight=False)
        for example in islice(chats.train, shown):
            show(example, chats.encoder.tokenizer, console)
        made = write_chats(chats, out, val_fraction=val_fraction, end_of_text=self.end_of_text,
                           force=force, progress=not quiet)
        if chats.train.counts.kept == made["examples"]["read"]["train"]["kept"]:  # it was read
            _summary(chats.train, "read")
            if chats.validation is not None:
                _summary(chats.validation, "validate")
        train, validation = made["train"], made["val"]
        typer.echo(f"{out}: {count(train['documents'], 'example')} of {train['tokens']:,} tokens "
                   f"to train, {train['trained_tokens']:,} of them trained; "
                   f"{validation['documents']:,} of {validation['tokens']:,} tokens to validate")
        if not quiet:
            names = [shlex.quote(str(name)) for name in (out, self.model)]
            _process.tell(f"train   cllm train --data {names[0]} --init {names[1]} --out run")
