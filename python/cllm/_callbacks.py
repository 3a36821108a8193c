"""Callbacks hear of a run between its steps, and may end it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cllm._cllm import EvaluationReport, InputError

if TYPE_CHECKING:
    from cllm._trainer import Trainer

Listener = Callable[[Any], object]
EVENTS = ("on_step", "on_evaluation", "on_checkpoint")


class EarlyStopping:
    """Ends a run when the validation loss no longer falls.

    ::

        trainer = cllm.Trainer(config, callbacks=[cllm.EarlyStopping(patience=3)])

    The run is saved and returns RunOutcome.STOPPED. With TrainConfig(keep_best=True) the best
    checkpoint stays too, as checkpoints/best in the run folder.

    Args:
        patience: evaluations in a row without a better loss that end the run.
        min_delta: a loss is better when it is lower than the best one by more than this.
    """

    def __init__(self, patience: int = 3, min_delta: float = 0.0) -> None:
        if patience < 1:
            raise InputError(f"patience: out of range: got {patience}, expected at least 1")
        self.patience = patience
        self.min_delta = min_delta
        self.best_loss = float("inf")
        """The lowest validation loss so far."""
        self.best_step = -1
        """The step at which it was; -1 before the first evaluation."""
        self.waited = 0
        """Evaluations since then."""
        self._trainer: weakref.ref[Trainer] | None = None

    def on_start(self, trainer: Trainer) -> None:
        """Remembers which run is to be ended. Raises InputError if it is never evaluated."""
        if not trainer.has_validation or trainer.config.eval_every == 0:
            raise InputError("EarlyStopping: nothing is evaluated: got "
                             + ("eval_every=0" if trainer.has_validation else "no validation data")
                             + ", expected evaluations to wait for")
        self._trainer = weakref.ref(trainer)

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Ends the run when patience is at its end."""
        if report.val_loss < self.best_loss - self.min_delta:
            self.best_loss, self.best_step, self.waited = report.val_loss, report.step, 0
        else:
            self.waited += 1
        trainer = self._trainer() if self._trainer is not None else None
        if self.waited >= self.patience and trainer is not None:
            trainer.request_stop()

    def __repr__(self) -> str:
        return f"EarlyStopping(patience={self.patience}, min_delta={self.min_delta})"


def checked(callbacks: Any) -> tuple[object, ...]:
    """The callbacks, if each of them can hear of anything."""
    if callable(callbacks) or any(hasattr(callbacks, event) for event in EVENTS):
        raise InputError(f"callbacks: not a list: got {callbacks!r}, expected [{callbacks!r}]")
    for each in callbacks:
        for name in dir(each):
            if name.startswith("on_") and name not in (*EVENTS, "on_start", "on_note"):
                raise InputError(f"callbacks: no event has this name: got {name} of {each!r}, "
                                 f"expected {', '.join(EVENTS)} or on_start")
        known = callable(each) or any(hasattr(each, event) for event in EVENTS)
        if isinstance(each, type) or not known:
            raise InputError(
                f"callbacks: not a callback: got {each!r}, expected a function of a StepReport, or "
                "an object with on_step, on_evaluation or on_checkpoint")
    return tuple(callbacks)


def listener(event: str, callbacks: Sequence[Any], own: Listener | None) -> Listener | None:
    """One function that calls what each callback has for an event; None when none has."""
    found: list[Listener] = [] if own is None else [own]
    for each in callbacks:
        method = getattr(each, event, None)
        if method is not None:
            found.append(method)
        elif event == "on_step" and not any(hasattr(each, other) for other in EVENTS):
            found.append(each)
    if len(found) < 2:
        return found[0] if found else None

    def call_all(report: Any) -> None:
        for function in found:
            function(report)

    return call_all
