"""A Trainer as Python sees it: the engine's, with callbacks, and with a bar in notebooks."""

import sys
from collections.abc import Callable, Sequence
from typing import Self

from cllm import _callbacks, _cllm, _notebook
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
            the methods on_step(StepReport), on_evaluation(EvaluationReport) and
            on_checkpoint(folder). run() calls them between steps; before the first one it calls
            on_start(trainer), where an object has that. request_stop() ends the run.
        on_note: is told what will take seconds before it begins.
    """

    def __init__(self, config: TrainConfig, *, callbacks: Sequence[object] = (),
                 on_note: Callable[[str], object] | None = None) -> None:
        self._callbacks = _callbacks.checked(callbacks)
        super().__init__(config, on_note=on_note)

    def run(self, *, callbacks: Sequence[object] = (),
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
            on_note: is called with each line that the user should know.
            progress: shows a live line on standard error; in a notebook, a bar.
        """
        every = [*self._callbacks, *_callbacks.checked(callbacks)]
        bar = None
        if progress and not self.config.quiet and _notebook.is_here():
            bar = _notebook.Bar(self.steps_done, self.steps_total)
            every.insert(0, bar)
            progress = False
        try:
            for each in every:
                if hasattr(each, "on_start"):
                    each.on_start(self)
            outcome = super().run(
                on_step=_callbacks.listener("on_step", every, on_step),
                on_evaluation=_callbacks.listener("on_evaluation", every, on_evaluation),
                on_checkpoint=_callbacks.listener("on_checkpoint", every, on_checkpoint),
                on_note=_callbacks.listener("on_note", every, on_note), progress=progress)
            if progress and outcome is RunOutcome.STOPPED and not self.config.quiet:
                self._say_where_it_stopped()
            return outcome
        finally:
            if bar is not None:
                bar.close(self.steps_done)

    def _say_where_it_stopped(self) -> None:
        where = f"stopped after step {self.steps_done} of {self.steps_total}"
        if self.config.out:
            where += (f": the model is in {self.config.out}/checkpoints/latest, and "
                      f"TrainConfig(resume={str(self.config.out)!r}) continues the run")
        print(where, file=sys.stderr)

    def __iter__(self) -> Self:
        """Makes the steps that are left; gives the StepReport of each."""
        return self

    def num_parameters(self) -> int:
        """Returns the number of weights."""
        return self.model_config.parameters
