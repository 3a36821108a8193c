"""What `cllm prepare --chat` prints: examples with their trained tokens, and what became of all."""

import shlex
from pathlib import Path

import typer
from rich.console import Console

import cllm
from cllm import _process
from cllm._words import count, one_line
from cllm.chat import Examples, open_chats
from cllm.chat.counts import Counts
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
            detail = f": {one.detail}" if one.detail else ""
            _process.tell(one_line(f"{sentence:<8}{count(one.number, 'example')} {reason} "
                                   f"(first: {one.where}{detail})"))
    if counts.replaced:
        _process.tell(f"note    replaced {count(counts.replaced, 'undecodable place')} by U+FFFD")
    if counts.ends:
        names = ", ".join(encoder.tokenizer.name(token) for token, _ in counts.ends.most_common())
        typer.echo(f"  answers end with {names}")


def show_chats(inputs: list[Path], model: Path | None, *, form: str | None,
               chat_template: str | None, max_length: int | None, shown: int,
               end_of_text: str | None, encoding: str | None, errors: str, quiet: bool) -> None:
    """Reads all examples, prints the first ones and the counts."""
    if model is None:
        raise cllm.InputError("--model: no model: expected the folder of one, whose tokenizer and "
                              "template the examples are for")
    if len(inputs) != 1:
        raise cllm.InputError(f"INPUT: got {' '.join(shlex.quote(str(one)) for one in inputs)}, "
                              "expected one file of examples, or a folder with train and valid "
                              "files")
    if shown < 0:
        raise cllm.InputError(f"--show: out of range: got {shown}, expected at least 0")
    chats = open_chats(inputs[0], model, format=form, chat_template=chat_template,
                       max_length=max_length, end_of_text=end_of_text, encoding=encoding,
                       errors=errors)
    console = Console(soft_wrap=True, highlight=False)
    if not quiet:
        _tell_what(chats.train, form)
        if "templates" in vars(chats.encoder):
            template = chats.encoder.templates.of(None)
            how = "its marks" if template.marks else "the difference of renderings"
            _process.tell(one_line(f"chat    template {template.place}; answers by {how}"))
        for name in chats.passed:
            _process.tell(one_line(f"note    {name} is not read"))
    _read(chats.train, shown, console, quiet)
    _summary(chats.train, "train")
    if chats.validation is not None:
        _read(chats.validation, 0, console, quiet)
        _summary(chats.validation, "validate")
