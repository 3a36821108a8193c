"""A fine-tuning from its examples to the lines that say how to use what came of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cllm
from cllm import _process
from cllm._cllm import InputError
from cllm._prepare_command import stopped_by_signals
from cllm._training import newest_or_best, quoted, train_to_end
from cllm._words import count, one_line, option
from cllm.chat.example import USER
from cllm.chat.formats import FORMS
from cllm.finetune.data import Asked, prepared, prepared_again, prompts_of
from cllm.finetune.model import check_model
from cllm.finetune.record import FILE, Record, has_checkpoint
from cllm.finetune.samples import Prompt
from cllm.finetune.settings import Facts, choose
from cllm.finetune.watch import Watch
from cllm.finetune.weights import parameters_of, width_of
from cllm.prepare.tokenizers import newest_model

if TYPE_CHECKING:
    from cllm._options import Given
    from cllm.chat import Chats

# These are of one command, and no part of the run.
_OF_A_COMMAND = {"overwrite", "quiet", "verbose"}
_LENGTHS = {"steps", "epochs"}


def start(asked: Asked, out: Path, typed: dict[str, str], *, questions: list[str], samples: int,
          ) -> None:
    """Prepares the examples, chooses what was not typed, and trains. `questions` are asked at each
    evaluation or, without any, those of so many `samples`."""
    quiet = typed.get("quiet") == "true"
    check_model(Path(asked.model))
    with stopped_by_signals("begins again"):
        chats = _opened(asked, quiet)
        prompts = _own(questions, chats) or prompts_of(chats, asked.val_fraction, samples)
        folder, made = prepared(asked, chats, progress=not quiet)
    if not quiet:
        _tell_examples(folder, made)
    options = {**_chosen(asked, chats, made, typed, quiet), **typed}
    record = Record(asked, _of_the_run(options), prompts, str(folder.absolute()),
                    0 if questions else samples)
    _train([("data", str(folder)), ("out", str(out)), ("init", asked.model), *options.items()],
           record, out, Path(asked.model))


def go_on(run: Path, record: Record, typed: dict[str, str]) -> None:
    """Goes on with a run. What was typed otherwise than before is given to the engine, which says
    whether it may change."""
    has_adapters, begun = record.options.get("lora") == "true", has_checkpoint(run)
    if not record.has_model and (has_adapters or not begun):
        raise InputError(f"{run}: its model is gone: got {record.asked.model}, expected the same "
                         "weights, " + ("wherever they are: cllm finetune MODEL --resume "
                                        f"{quoted(run)}" if begun else "where they were"))
    # A checkpoint with all weights has a tokenizer too.
    model = Path(record.asked.model) if has_adapters or not begun else run
    asked = record.asked if record.has_model else replace(record.asked, model=str(model))
    with stopped_by_signals("begins again"):
        folder = prepared_again(asked, record.data_set, run,
                                progress=typed.get("quiet") != "true")
    changed = {name: text for name, text in _of_the_run(typed).items()
               if record.options.get(name) != text}
    kept = {name: text for name, text in record.options.items()
            if not (name in _LENGTHS and _LENGTHS & set(changed))}
    record = replace(record, options=kept | changed, data_set=str(folder.absolute()))
    of_this = {name: text for name, text in typed.items()
               if name in _OF_A_COMMAND and name != "overwrite"}
    if begun:
        options = {"resume": str(run), "data": str(folder), **changed, **of_this}
        if record.moved and has_adapters:
            options["init"] = record.asked.model
    else:  # it was killed before the first: the same steps come again
        options = {"data": str(folder), "out": str(run), "init": record.asked.model,
                   "overwrite": "true", **record.options, **of_this}
    try:
        _train(list(options.items()), record, run, model)
    except InputError as error:  # in the words of this command
        raise InputError(str(error).replace(option("init", "FOLDER"), "MODEL")) from None


def _of_the_run(options: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in options.items() if name not in _OF_A_COMMAND}


def _opened(asked: Asked, quiet: bool) -> Chats:
    chats = asked.open()
    if not quiet:
        how = "" if asked.format else " (--format says otherwise)"
        _process.tell(f"data    {', '.join(chats.train.files)}: {FORMS[chats.train.format]}{how}")
        for name in chats.passed:
            _process.tell(f"note    {name} is not read")
    return chats


def _own(questions: list[str], chats: Chats) -> list[Prompt]:
    """Texts that go on where the examples are no conversations."""
    if not chats.encoder.has_read_templates:
        return [Prompt(question) for question in questions]
    return [Prompt([{"role": USER, "content": question}]) for question in questions]


def _tell_examples(folder: Path, made: dict[str, Any]) -> None:
    """What became of the examples."""
    train, validation = made["train"], made["val"]
    _process.tell(f"        {count(train['documents'], 'example')} of {train['tokens']:,} tokens "
                  f"to train, {train['trained_tokens']:,} of them trained; "
                  f"{validation['documents']:,} to validate; in {folder}")
    for read in made["examples"]["read"].values():
        first = read.get("first", {})  # missing in data sets of older versions
        for found, word in ((read["dropped"], "dropped"), (read["notes"], "note")):
            for reason, number in found.items():
                where = f" (first: {first[reason]})" if reason in first else ""
                _process.tell(one_line(f"{word:<8}{count(number, 'example')} {reason}{where}"))
        if read["cut"]:
            _process.tell(f"note    {count(read['cut'], 'example')} cut after "
                          f"{count(made['examples']['length'], 'token')}, which leaves out "
                          f"{read['cut_tokens']:,}; the longest has {read['longest']:,} (--seq)")


def _chosen(asked: Asked, chats: Chats, made: dict[str, Any], typed: dict[str, str], quiet: bool,
            ) -> dict[str, str]:
    """Says each choice in a line."""
    longest = max(read["longest"] for read in made["examples"]["read"].values())
    room = made["examples"]["length"]
    folder = chats.encoder.tokenizer.folder
    facts = Facts(parameters=parameters_of(folder), width=width_of(folder),
                  examples=made["train"]["documents"], tokens=made["train"]["tokens"],
                  longest=min(longest, room), room=room,
                  validates=made["val"]["documents"] > 0)
    choices = choose(facts, typed, full=asked.full)
    for one in choices if not quiet else ():
        name = f"--{one.name}" if one.text == "true" else f"--{one.name} {one.text}"
        _process.tell(f"chosen  {name:<18} {one.why}")
    return {one.name: one.text for one in choices}


def _train(options: Given, record: Record, run: Path, model: Path) -> None:
    """`model` has the tokenizer."""
    settings = cllm.configure(options)
    watch = Watch(record.prompts, newest_model(model), record.asked.chat_template,
                  (run / FILE, record.content()), quiet=settings.quiet)
    trainer = train_to_end(settings, "cllm finetune", [watch])
    if not trainer.config.quiet:
        _tell_end(trainer, watch)


def _tell_end(trainer: cllm.Trainer, watch: Watch) -> None:
    if watch.best is not None:
        before = "" if watch.loss_before is None else f"{watch.loss_before:.4f} before, "
        _process.tell(f"learned validation loss {before}{watch.best[0]:.4f} at step "
                      f"{watch.best[1]:,}, the lowest")
    model, run = newest_or_best(trainer), Path(trainer.config.out)
    _process.tell(f"chat    cllm chat {quoted(model)}")
    if model != run and watch.best is not None and watch.best[1] < trainer.steps_done:
        _process.tell(f"        cllm chat {quoted(run / 'final')}  (after all steps: it knows its "
                      "examples best)")
    if trainer.config.lora:
        merged = run.with_name(f"{run.name}-merged")
        _process.tell(f"merge   cllm merge {quoted(model)} --out {quoted(merged)}")
