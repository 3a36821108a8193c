"""A Trainer as Python sees it: the engine's, with callbacks, and with a bar in notebooks."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from cllm import _callbacks, _cllm, _notebook, _notes, _others, _words
from cllm._cllm import EvaluationReport, RunOutcome, StepReport, TrainConfig


class Trainer(_cllm.Trainer):
    """A training run on a tree of threads. Nothing is written before run() or save().

    ::

        trainer = cllm.Trainer(cllm.TrainConfig(data="text.txt", out="run", steps=500))
        trainer.run(progress=True)

    TrainConfig(resume="run") continues a run: options that are not set are the run's own. Without
    `out` the run has no folder and the weights stay in memory, where parameters() shows them and
    from where save() writes them.

    One thread at a time may use a trainer; a second one gets a CllmError. From any thread may come
    request_stop(), request_save() and a look at steps_done. After fork() the child gets a CllmError
    from the first step, because threads are not copied.

    Args:
        config: what to train, on what, for how long.
        callbacks: functions that are called with each step's StepReport, or objects with any of
            the methods on_start(trainer), on_step(StepReport), on_evaluation(EvaluationReport),
            on_checkpoint(folder), on_note(text) and on_end(trainer). run() calls them between
            steps, where they may call evaluate(), save(), request_stop(), and any Model; on_end
            comes when all is saved, however the run ended.
        on_note: is called with each line that the user should know while the trainer is made: what
            will take seconds, before it begins. run() has an on_note for the lines of the run.
    """

    def __init__(self, config: TrainConfig, *, callbacks: Sequence[object] = (),
                 on_note: Callable[[str], object] | None = None) -> None:
        self._callbacks = _callbacks.checked(callbacks)
        _callbacks.listener("on_note", (), on_note)
        super().__init__(config, on_note=on_note)

    if not TYPE_CHECKING:  # else type checkers would let every name pass

        def __getattr__(self, name):
            _others.refuse(self, name, _others.TRAINER)

        def __setattr__(self, name, value):
            if name == "config":
                raise AttributeError(
                    "trainer.config cannot be set, because the run is planned: make another "
                    "trainer with cllm.Trainer(config)")
            known = getattr(type(self), name, None)
            if isinstance(known, property) and known.fset is None:
                raise AttributeError(f"trainer.{name} cannot be set: the trainer says what it is")
            if known is None and type(self) is Trainer and not name.startswith("_"):
                hint = {"lr": "learning_rate"}.get(name) or _cllm.near_name(name, dir(type(self)))
                raise AttributeError(f"trainer.{name} cannot be set: there is no such attribute"
                                     + (f" (did you mean {hint}?)" if hint else ""))
            super().__setattr__(name, value)

    def run(self, *, callbacks: Sequence[object] = (),  # type: ignore[override]
            on_step: Callable[[StepReport], object] | None = None,
            on_evaluation: Callable[[EvaluationReport], object] | None = None,
            on_checkpoint: Callable[[str], object] | None = None,
            on_note: Callable[[str], object] | None = None,
            progress: bool = False) -> RunOutcome:
        """Trains to the last step; writes metrics, checkpoints and the final model to the run
        folder.

        A run can end earlier, and has then saved: by request_stop() or SIGTERM, which give
        RunOutcome.STOPPED, by Ctrl-C, which gives a KeyboardInterrupt, and by an exception of a
        callback, which comes out of here. Another run() goes on. Signals count on the main thread,
        and where they have no handler of yours; afterwards they do what they did before.

        Args:
            callbacks: further ones, for this run.
            on_step: is called with each StepReport.
            on_evaluation: is called with each EvaluationReport.
            on_checkpoint: is called with the folder of each checkpoint.
            on_note: is called with each line that the user should know during the run; its first
                text, of several lines, is the summary. Without it, without a callback that has
                on_note, and without `progress`, what needs attention is a CllmWarning.
            progress: shows a live line on standard error; in a notebook, a bar.
        """
        every = [*self._callbacks, *_callbacks.checked(callbacks)]
        shown = progress or self.config.quiet
        if progress and not self.config.quiet and _notebook.is_here():
            every.insert(0, _notebook.Bar(self.steps_done, self.steps_total))
            progress = False
        own = {"on_step": on_step, "on_evaluation": on_evaluation, "on_checkpoint": on_checkpoint,
               "on_note": on_note}
        heard = {event: _callbacks.listener(event, every, function)
                 for event, function in own.items()}
        warning = None if shown or heard["on_note"] is not None else _notes.warn
        started: list[Any] = []
        try:
            for each in every:
                started.append(each)
                if hasattr(each, "on_start"):
                    each.on_start(self)
            outcome = super().run(**heard, on_warning=warning, progress=progress)
            if (progress and outcome is RunOutcome.STOPPED and not self.config.quiet
                    and not _words.on_command_line()):
                print(self._where_it_stopped(), file=sys.stderr)
            return outcome
        except KeyboardInterrupt as interrupt:
            if not interrupt.args:
                interrupt.args = (self._where_it_stopped(),)
            raise
        finally:
            with ExitStack() as ends:  # each on_end is called, also after one that raises
                for each in reversed(started):
                    if hasattr(each, "on_end"):
                        ends.callback(each.on_end, self)

    def _where_it_stopped(self) -> str:
        where = f"stopped after step {self.steps_done} of {self.steps_total}"
        if self.config.out:
            where += (f": the model is in {self.config.out}/checkpoints/latest, and "
                      f"TrainConfig(resume={str(self.config.out)!r}) continues the run")
        return where

    def __iter__(self) -> Self:
        """Makes the steps that are left; gives the StepReport of each."""
        return self

    def num_parameters(self) -> int:
        """Returns the number of weights."""
        return self.model_config.parameters
