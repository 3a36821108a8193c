"""The command `cllm finetune`: from a file of examples to a model that answers as they do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cllm
from cllm._options import Given, by_name, option_name

if TYPE_CHECKING:
    from cllm.finetune.record import Record

EXAMPLES, SAMPLES = "Examples of answers", "Answers while it learns"
SAMPLED = 2  # questions, where nobody says how many
# The model has these, or they are given as arguments here.
_NOT_TAKEN = {"data", "val", "out", "init", "resume", "vocab", "preset", "family", "layers",
              "heads", "dim", "kv-heads", "head-dim", "hidden", "rope-theta", "untied", "no-bias",
              "lattice", "lattice-lr", "shuffle", "document-mask"}
_ADAPTER = {"lora-rank", "lora-alpha", "rslora", "lora-dropout", "lora-targets",
            "lora-modules-to-save", "lora-init", "base-dtype"}
OPTIONS = [option.name for option in cllm.options() if option.name not in _NOT_TAKEN]


def finetune(
    given: Given,
    model: Annotated[Path | None, typer.Argument(
        metavar="MODEL", help="Folder of the model to start from, or of a run.")] = None,
    data: Annotated[Path | None, typer.Option(
        metavar="FILE", rich_help_panel=EXAMPLES, help="Examples of answers: .jsonl, .json, .csv, "
        ".parquet; or a folder with train and valid files.")] = None,
    out: Annotated[Path | None, typer.Option(
        "--out", "-o", metavar="RUN", help="Run folder to create. The same command goes on with a "
        "run that was stopped or killed.")] = None,
    resume: Annotated[Path | None, typer.Option(
        metavar="RUN", help="A run to go on with, in place of MODEL, --data and --out. MODEL "
        "says where its model is now, if it moved.")] = None,
    full: Annotated[bool, typer.Option(
        "--full", help="Trains all weights; --lora trains adapters beside them. Without either, "
        "adapters from 50 million parameters on.")] = False,
    format: Annotated[str | None, typer.Option(
        metavar="FORM", rich_help_panel=EXAMPLES, help="messages, prompt, alpaca, sharegpt or "
        "text; without it, by the keys of the first example.")] = None,
    chat_template: Annotated[str | None, typer.Option(
        metavar="FILE", rich_help_panel=EXAMPLES, help="Template in Jinja, or the name of one of "
        "several that the model has; without it, the model's.")] = None,
    val_fraction: Annotated[float, typer.Option(
        metavar="PART", rich_help_panel=EXAMPLES, help="Part of the examples that validates, where "
        "the data has no validation file.")] = 0.1,
    end_of_text: Annotated[str | None, typer.Option(
        metavar="TOKEN", rich_help_panel=EXAMPLES, help="What ends a text, where the tokenizer "
        "does not say.")] = None,
    encoding: Annotated[str | None, typer.Option(
        metavar="NAME", rich_help_panel=EXAMPLES, help="Of files without a mark; without it, "
        "utf-8.")] = None,
    errors: Annotated[str, typer.Option(
        metavar="WAY", rich_help_panel=EXAMPLES, help="Undecodable bytes: strict refuses them, "
        "replace counts them.")] = "strict",
    samples: Annotated[int | None, typer.Option(
        metavar="N", rich_help_panel=SAMPLES, help="Questions of examples that validate, which are "
        "asked at each evaluation; without it, 2.")] = None,
    sample_prompt: Annotated[list[str] | None, typer.Option(
        metavar="TEXT", rich_help_panel=SAMPLES, help="A question to ask instead; may be given "
        "again.")] = None,
) -> None:
    """Trains a model on examples of answers, so that it answers as they do.

    It chooses what is not given by the model and the examples, and says so: adapters of low rank
    (LoRA) or all weights, the learning rate, the number of epochs. Only answers are trained."""
    from cllm.finetune import run
    from cllm.finetune.data import Asked
    from cllm.finetune.record import read
    from cllm.finetune.settings import AUTO, CHOSEN

    given = [(name, text) for name, text in given
             if text != AUTO or option_name(name) not in CHOSEN]
    typed = by_name(given)
    if not full and "lora" not in typed and any(name in _ADAPTER for name in typed):
        typed["lora"] = "true"
    if full and typed.get("lora") == "true":
        raise cllm.InputError("--full: all weights, or adapters: got --full and --lora, expected "
                              "one of them")
    if not 0 <= val_fraction < 1:
        raise cllm.InputError(f"--val-fraction: got {val_fraction}, expected 0 (none) to below 1")
    if samples is not None and samples < 0:
        raise cllm.InputError(f"--samples: out of range: got {samples}, expected at least 0")
    questions = _checked(sample_prompt or [])
    if resume is not None:
        _refuse_beside_resume({"--data": data, "--out": out, "--full": full,
                               "--format": format, "--chat-template": chat_template})
        found = read(resume)
        if found is None:
            raise cllm.InputError(f"--resume: no fine-tuning: got {resume}, expected the folder of "
                                  "a run of cllm finetune (cllm train --resume goes on with other "
                                  "runs)")
        cllm.configure([("resume", str(resume)), *given])
        if model is not None:
            found = _with_model(found, resume, model)
        found.check_same_questions(resume, questions, samples)
        run.go_on(resume, found, typed)
        return
    if model is None or data is None or out is None:
        missing = "MODEL" if model is None else "--data" if data is None else "--out"
        raise cllm.InputError(f"{missing}: missing: expected cllm finetune MODEL --data FILE "
                              "--out RUN, or --resume RUN")
    asked = Asked(data=str(data.absolute()), model=str(model.absolute()), format=format,
                  chat_template=_template(chat_template), length=_length(typed),
                  val_fraction=val_fraction, end_of_text=end_of_text, encoding=encoding,
                  errors=errors, full=full)
    # What the engine can refuse without looking at data is refused before any is prepared.
    cllm.configure([("data", str(data)), ("out", str(out)), ("init", str(model)), *given,
                    *_lora(given, typed)])
    before = None if typed.get("overwrite") == "true" else read(out)
    if before is not None:
        before = before.with_model(out, model)
        before.check_same(out, asked)
        before.check_same_questions(out, questions, samples)
        run.go_on(out, before, typed)
        return
    run.start(asked, out, typed, questions=questions,
              samples=SAMPLED if samples is None else samples)


# -- what is asked ------------------------------------------------------------------------------

def _refuse_beside_resume(given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value:
            raise cllm.InputError(f"{name}: a run that goes on has one: got {value}, expected "
                                  "--resume without it")


def _with_model(before: "Record", run: Path, model: Path) -> "Record":
    """The run, whose model may be elsewhere now."""
    found = before.with_model(run, model)
    if found.asked.model != str(model.absolute()):
        raise cllm.InputError(f"MODEL: a run that goes on has one: got {model}, expected --resume "
                              "without it")
    return found


def _lora(given: Given, typed: dict[str, str]) -> Given:
    """The flag that options of adapters imply."""
    return [] if "lora" in by_name(given) or "lora" not in typed else [("lora", "true")]


def _template(chosen: str | None) -> str | None:
    """A file is found again from another folder; a name stays one."""
    if chosen is not None and Path(chosen).is_file():
        return str(Path(chosen).absolute())
    return chosen


def _length(typed: dict[str, str]) -> int | None:
    """Tokens after which an example is cut."""
    text = typed.get("seq")
    return int(text) if text is not None and text.isdecimal() else None


def _checked(questions: list[str]) -> list[str]:
    if not all(question.strip() for question in questions):
        raise cllm.InputError("--sample-prompt: nothing is asked: got an empty text, expected a "
                              "question")
    return questions
