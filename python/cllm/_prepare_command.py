"""The command `cllm prepare`."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

import cllm
from cllm import _process
from cllm._options import option_name
from cllm._words import count

CHATS = "Examples of answers"


@contextmanager
def stopped_by_signals(then: str = "goes on where it stopped") -> Iterator[None]:
    """A signal that asks for an end stops the work, which the same command takes up again."""
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    taken = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
             if signal.getsignal(number) != signal.SIG_IGN]  # as nohup has it
    before = {number: signal.signal(number, stop) for number in taken}
    try:
        yield
    except KeyboardInterrupt:
        _process.leave_quietly()
        raise _process.fail(f"stopped; the same command {then}",
                            _process.STOPPED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _holds_documents(settings: cllm.TrainConfig) -> bool:
    """Whether the engine would see a form, such as JSONL, and not the texts in it."""
    if not settings.data:
        return False
    from cllm._text_data import documents_of
    from cllm.prepare.inputs import kind_of

    data, val = str(settings.data), str(settings.val or "")
    return bool(documents_of(data)
                or (val and kind_of(data) == "text" and documents_of(val)))


def for_training(given: list[tuple[str, str]], config: Path | None, tokenizer: str | None,
                 ) -> list[tuple[str, str]]:
    """The options of a run on the data set that is made of its texts first, or was before. Without
    a tokenizer, only documents are made one, whose tokens are bytes as those of a text are."""
    from cllm.prepare.cached import cached
    from cllm.token_files import DESCRIPTION

    settings = cllm.configure(given, config_file=config)
    if tokenizer is None:
        if not _holds_documents(settings):
            return given
    elif settings.resume and not settings.data:
        raise cllm.InputError(f"--tokenizer: a resumed run has one: got {tokenizer}, expected "
                              f"--resume {settings.resume} without it, or with the --data to "
                              "prepare again")
    elif not settings.data:
        raise cllm.InputError("--data: nothing to train on: expected a text")
    elif (Path(settings.data) / DESCRIPTION).exists():
        raise cllm.InputError(f"--tokenizer: this data set has one: got {tokenizer}, expected "
                              f"--data {settings.data} without it")
    val = [settings.val] if settings.val else []
    with stopped_by_signals():
        made = cached([settings.data], tokenizer or "bytes", val=val, progress=not settings.quiet)
    kept = [(name, text) for name, text in given if option_name(name) not in ("data", "val")]
    return [*kept, ("data", str(made)), *([("val", "")] if val else [])]


def _refuse(given: dict[str, object], why: str) -> None:
    for name, value in given.items():
        if value is not None and value is not False and value != []:
            raise cllm.InputError(f"{name}: {why}")


def prepare(
    inputs: Annotated[list[Path], typer.Argument(
        metavar="INPUT...", help="Texts: .txt, .md, .jsonl, .csv, .tsv, .parquet, SQuAD's .json, "
        "also packed (.gz, .zst); patterns of them, and folders, of which .json is not read.")],
    out: Annotated[Path | None, typer.Option(
        "--out", "-o", metavar="DATASET", help="New folder of the data set.")] = None,
    tokenizer: Annotated[str, typer.Option(
        metavar="TOKENIZER", help="bytes, chars, bpe:N (trained here, N tokens), a tokenizer.json "
        "of Hugging Face, or the folder of a model or run that holds it.")] = "bytes",
    field: Annotated[str | None, typer.Option(
        metavar="NAME", help="Field or column of the text; without it, text. In JSONL, a.b is the "
        "field b inside a.")] = None,
    val: Annotated[list[Path] | None, typer.Option(
        metavar="INPUT", help="Texts to validate with; may be given again.")] = None,
    val_fraction: Annotated[float, typer.Option(
        metavar="PART", help="Without --val: part of the texts that validates: whole documents, or "
        "the end of the largest one where all are large.")] = 0.1,
    encoding: Annotated[str | None, typer.Option(
        metavar="NAME", help="Of texts without a mark; without it, utf-8.")] = None,
    errors: Annotated[str, typer.Option(
        metavar="WAY", help="Undecodable bytes: strict refuses them, replace counts them.")
    ] = "strict",
    end_of_text: Annotated[str | None, typer.Option(
        metavar="TOKEN", help="What ends a document, where the tokenizer does not say.")] = None,
    order: Annotated[str, typer.Option(
        metavar="WAY", help="Of ids: own, as the tokenizer has them, or frequency: what the "
        "training texts have most often comes first, by a sample of 34 million characters where "
        "they are longer, so that rings of the lattice are frequency bands.")] = "own",
    force: Annotated[bool, typer.Option(
        "--force", help="Replaces a data set that is there.")] = False,
    processes: Annotated[int | None, typer.Option(
        metavar="N", help="Processes; without it, one for each core. All give the same files.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Says nothing but errors.")] = False,
    chat: Annotated[bool, typer.Option(
        "--chat", rich_help_panel=CHATS, help="The input is examples of answers, for --model: a "
        ".jsonl, a list in .json, or a folder with train and valid files. Without --out it prints "
        "how they would be trained on, and makes no data set.")] = False,
    show: Annotated[int | None, typer.Option(
        metavar="N", rich_help_panel=CHATS, help="Examples to print, with their trained tokens in "
        "colour; without it, 3, and none with --out.")] = None,
    model: Annotated[Path | None, typer.Option(
        metavar="FOLDER", rich_help_panel=CHATS, help="Model or run whose tokenizer and template "
        "the examples are for.")] = None,
    format: Annotated[str | None, typer.Option(
        metavar="FORM", rich_help_panel=CHATS, help="messages, prompt, alpaca, sharegpt or text; "
        "without it, by the keys of the first example.")] = None,
    chat_template: Annotated[str | None, typer.Option(
        metavar="FILE", rich_help_panel=CHATS, help="Template in Jinja, or the name of one of "
        "several that the model has; without it, the model's.")] = None,
    max_length: Annotated[int | None, typer.Option(
        metavar="N", rich_help_panel=CHATS, help="Tokens after which an example is cut; without "
        "it, 1024, or fewer where the model reads fewer.")] = None,
) -> None:
    """Makes a data set of texts: tokens to train on, with their tokenizer.

    Interrupted, it goes on where it stopped when the same command is given again. With --chat the
    data set is of conversations, of which the answers are trained; without --out they are shown."""
    if chat:
        _refuse({"--tokenizer": tokenizer != "bytes", "--field": field, "--val": val,
                 "--order": order != "own", "--processes": processes},
                "is for texts: expected it without --chat (a folder with train and valid files "
                "holds both, and --model has the tokenizer)")
        from cllm._prepare_chat import Asked

        asked = Asked(inputs, model, form=format, chat_template=chat_template,
                      max_length=max_length, end_of_text=end_of_text, encoding=encoding,
                      errors=errors)
        if out is None:
            _refuse({"--val-fraction": val_fraction != 0.1, "--force": force},
                    "is for a data set: expected --out with it")
            asked.show(3 if show is None else show, quiet=quiet)
            return
        with stopped_by_signals("begins again"):
            asked.make(out, show or 0, val_fraction=val_fraction, force=force, quiet=quiet)
        return
    _refuse({"--show": show, "--model": model, "--format": format,
             "--chat-template": chat_template, "--max-length": max_length},
            "is for examples of answers: expected --chat with it")
    if out is None:
        raise cllm.InputError("Missing option '--out' / '-o'. (see --help)")
    from cllm.prepare import prepare as make

    with stopped_by_signals():
        made = make(inputs, out, tokenizer=tokenizer, field=field, encoding=encoding,
                    errors=errors, val=val or (), val_fraction=val_fraction,
                    end_of_text=end_of_text, order=order, force=force, processes=processes,
                    progress=not quiet)
    train, validation = made["train"], made["val"]
    typer.echo(f"{out}: {count(train['tokens'], 'token')} of "
               f"{count(train['documents'], 'document')} to train, {validation['tokens']:,} of "
               f"{validation['documents']:,} to validate; vocabulary "
               f"{made['tokenizer']['vocabulary']:,}, {train['bytes_per_token']:.2f} bytes a token")
    if not quiet:
        _process.tell(f"train   cllm train --data {shlex.quote(str(out))} --out run")
