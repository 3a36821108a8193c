"""A callback that shows how a model learns to answer: the loss on what it does not train on, and
answers to the same questions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cllm import _process
from cllm._cllm import InputError
from cllm._words import count, one_line
from cllm.finetune.samples import Answers, InTraining, Prompt
from cllm.prepare.store import write_durably, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cllm._cllm import EvaluationReport
    from cllm._trainer import Trainer

SAMPLES, METRICS = "samples.jsonl", "metrics.jsonl"
_SHOWN = 300  # characters of an answer on a terminal


class Watch:
    """Asks before the first step and at each evaluation. Answers go to standard error and to
    samples.jsonl in the run folder."""

    def __init__(self, prompts: list[Prompt], model: Path, chat_template: str | None,
                 record: tuple[Path, dict[str, Any]], *, quiet: bool) -> None:
        self.loss_before: float | None = None
        self.best: tuple[float, int] | None = None  # loss and step
        self._val_tokens: int | None = None  # of the last evaluation
        self._prompts, self._folder, self._chat_template = prompts, model, chat_template
        self._record = record  # a file of the run folder, and what it holds
        self._quiet = quiet
        self._trainer: Trainer | None = None
        self._model: InTraining | None = None
        self._answers: Answers | None = None
        self._begun = False

    def on_start(self, trainer: Trainer) -> None:
        self._trainer, self._model = trainer, InTraining(trainer, self._folder)
        self._answers = Answers(self._model, self._chat_template)
        self._keep_what_can_be_asked(self._answers)
        self._begun = False

    def _keep_what_can_be_asked(self, answers: Answers) -> None:
        """Examples that cannot be asked are still learned, so they are no reason to end a run. Of a
        question of the user it is an error, and that is said before the run begins."""
        kept, why = [], ""
        for prompt in self._prompts:
            try:
                answers.check(prompt)
                kept.append(prompt)
            except InputError as error:
                if not prompt.sampled:
                    raise
                why = str(error)
        if why:
            number = count(len(self._prompts) - len(kept), "sampled question")
            self._tell(one_line(f"note    {number} cannot be asked: {why}"))
        self._prompts = kept
        file, content = self._record  # a run that goes on asks the same
        self._record = file, content | {"prompts": [prompt.asked for prompt in kept]}

    def on_note(self, text: str) -> None:
        """Looks at the model once, when the run has its folder."""
        if self._begun or self._trainer is None:
            return
        self._begun = True
        write_json(*self._record)
        if self._trainer.steps_done > 0:
            self._remember(self._record[0].parent / METRICS, self._trainer.steps_done)
            self._ask_again(self._trainer.steps_done)
            return
        if self._trainer.has_validation:
            loss = self._trainer.evaluate().val_loss
            if math.isnan(loss):  # a request to stop ended it
                return
            self.loss_before = loss
            self._tell(f"step 0: validation loss {loss:.4f}")
        self._ask(0)

    def on_evaluation(self, report: EvaluationReport) -> None:
        step = report.step or 0
        self._compare(report.val_loss, step, report.val_tokens)
        self._ask(step)

    def on_end(self, trainer: Trainer) -> None:
        self._trainer = self._model = self._answers = None

    def _remember(self, metrics: Path, steps: int) -> None:
        """Looks at the evaluations of the run before it was resumed."""
        for row in rows_of(metrics):
            if "val_loss" in row and row["step"] <= steps:
                self._compare(row["val_loss"], row["step"], row.get("val_tokens"))

    def _ask_again(self, step: int) -> None:
        """A stop may have come between the evaluation at this very step and its last answer."""
        folder = self._record[0].parent
        evaluated = any("val_loss" in row for row in rows_of(folder / METRICS)
                        if row["step"] == step)
        answered = sum(row["step"] == step for row in rows_of(folder / SAMPLES))
        if evaluated and answered < len(self._prompts):
            self._ask(step)

    def _compare(self, loss: float | None, step: int, tokens: int | None) -> None:
        """The engine keeps its best checkpoint by the same rule: losses of another number of tokens
        are not compared, and of equals the first is the best. None is not finite."""
        if tokens != self._val_tokens:
            self.best = None
        self._val_tokens = tokens
        lowest = math.inf if self.best is None else self.best[0]
        if loss is not None and loss < lowest:
            self.best = loss, step

    def _ask(self, step: int) -> None:
        """Asks all that is asked, unless a request to stop comes, which cuts an answer."""
        if not self._prompts:
            return
        assert self._model is not None and self._answers is not None
        file = self._record[0].parent / SAMPLES
        forget_from(file, step)
        for prompt in self._prompts:
            answer = self._answers.to(prompt)
            if self._model.stopping:
                return
            line = json.dumps({"step": step, "prompt": prompt.asked, "answer": answer},
                              ensure_ascii=False) + "\n"
            with file.open("a", encoding="utf-8") as samples:
                samples.write(line)
            self._tell(f"  asked   {one_line(prompt.question, _SHOWN)}")
            self._tell(f"  answer  {one_line(answer.strip(), _SHOWN)}")

    def _tell(self, line: str) -> None:
        if not self._quiet:
            _process.tell(line)


def rows_of(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of JSON lines that have a step. A last one without its line feed was not
    written to its end."""
    # Not splitlines(), for which an answer may hold ends of lines too, such as U+2028.
    for line in file.read_bytes().split(b"\n")[:-1] if file.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            yield row


def forget_from(file: Path, step: int) -> None:
    """Removes what a run wrote that was resumed at an earlier step."""
    kept = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of(file)
                   if row["step"] < step).encode()
    if file.is_file() and kept != file.read_bytes():
        write_durably(file, kept)
