"""Callbacks hear of a run between its steps, and may end it."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from cllm import _cllm, _others
from cllm._cllm import EvaluationReport, InputError

if TYPE_CHECKING:
    from cllm._trainer import Trainer

Listener = Callable[[Any], object]
_ARGUMENTS = {"on_start": "trainer", "on_end": "trainer", "on_checkpoint": "folder",
              "on_note": "text"}
EVENTS = ("on_start", "on_step", "on_evaluation", "on_checkpoint", "on_note", "on_end")


class EarlyStopping:
    """Ends a run when the validation loss no longer falls.

    ::

        trainer = cllm.Trainer(config, callbacks=[cllm.EarlyStopping(patience=3)])

    The run is saved and returns RunOutcome.STOPPED. With TrainConfig(keep_best=True) the best
    checkpoint stays too, as checkpoints/best in the run folder.

    Args:
        patience: evaluations in a row without a better loss that end the run.
        min_delta: a loss is better when it is lower than the last better one by more than this.
    """

    def __init__(self, patience: int = 3, min_delta: float = 0.0) -> None:
        if not _is_integer(patience) or patience < 1:
            raise InputError(f"patience: out of range: got {patience!r}, expected an integer of at "
                             "least 1")
        if not _is_real(min_delta) or not min_delta >= 0:
            raise InputError(f"min_delta: out of range: got {min_delta!r}, expected a number of at "
                             "least 0")
        self.patience = patience
        self.min_delta = min_delta
        self.best_loss = float("inf")
        """The lowest validation loss so far, by however little."""
        self.best_step = -1
        """The step at which it was; -1 before the first evaluation."""
        self.waited = 0
        """Evaluations in a row without a better loss."""
        self._to_beat = float("inf")
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
        if report.val_loss < self.best_loss and report.step is not None:
            self.best_loss, self.best_step = report.val_loss, report.step
        if report.val_loss < self._to_beat - self.min_delta:
            self._to_beat, self.waited = report.val_loss, 0
        else:
            self.waited += 1
        trainer = self._trainer() if self._trainer is not None else None
        if self.waited >= self.patience and trainer is not None:
            trainer.request_stop()

    def __repr__(self) -> str:
        return f"EarlyStopping(patience={self.patience}, min_delta={self.min_delta})"


def checked(callbacks: Any) -> tuple[object, ...]:
    """The callbacks, if each of them can hear of anything."""
    if callable(callbacks) or _is_object(callbacks) or not isinstance(callbacks, Iterable):
        is_one = callable(callbacks) or _is_object(callbacks)
        raise InputError(f"callbacks: not a list: got {callbacks!r}, expected "
                         + (f"[{callbacks!r}]" if is_one else "functions or objects"))
    found = tuple(callbacks)
    for each in found:
        if isinstance(each, type):
            raise InputError(f"callbacks: a class: got {each!r}, expected {each.__name__}()")
        for name in sorted(dir(each), key=lambda name: name not in vars(type(each))):  # own first
            if (name.startswith("on_") and name not in EVENTS
                    and callable(getattr(each, name, None))):
                near = _others.EVENTS.get(name) or _cllm.near_name(name, EVENTS)
                hint = f" (did you mean {near}?)" if near else ""
                base = _origin(each, name)
                if base is not type(each):
                    hint = f" ({base.__name__} has it: a callback needs no base class)"
                raise InputError(f"callbacks: no event has this name: got {name} of {each!r}, "
                                 f"expected {', '.join(EVENTS[:-1])} or {EVENTS[-1]}{hint}")
        for event in EVENTS:
            _check_takes_one(f"{type(each).__name__}.{event}", event, getattr(each, event, None))
        if callable(each) and not _is_object(each):
            _check_takes_one(repr(each), "on_step", each)
        elif not _is_object(each):
            raise InputError(
                f"callbacks: not a callback: got {each!r}, expected a function of a StepReport, or "
                f"an object with {', '.join(EVENTS[:-1])} or {EVENTS[-1]}")
    return found


def _check_takes_one(name: str, event: str, function: Any) -> None:
    """Refuses what an event cannot call, before the run rather than in it."""
    if not callable(function):
        return
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise InputError(f"callbacks: {name} is called with one argument: got "
                         f"{event}{inspect.signature(function)}, expected {event}("
                         f"{_ARGUMENTS.get(event, 'report')})") from None
    except ValueError:  # a function of C has no signature
        return


def _is_integer(value: object) -> bool:
    """Whether it is one, of Python or of NumPy."""
    return isinstance(value, Integral)


def _is_real(value: object) -> bool:
    return isinstance(value, Real)


def _origin(callback: object, name: str) -> type:
    """The class that an attribute comes from."""
    return next((cls for cls in type(callback).__mro__ if name in vars(cls)), type(callback))


def _is_object(callback: object) -> bool:
    """Whether it has methods for events; else it is called with each step."""
    return any(hasattr(callback, event) for event in EVENTS)


def listener(event: str, callbacks: Sequence[Any], own: Listener | None) -> Listener | None:
    """One function that calls what each callback has for an event; None when none has."""
    if own is not None and not callable(own):
        raise InputError(f"{event}: not a function: got {own!r}, expected one of a report or text")
    found: list[Listener] = [] if own is None else [own]
    for each in callbacks:
        method = getattr(each, event, None)
        if method is not None:
            found.append(method)
        elif event == "on_step" and not _is_object(each):
            found.append(each)
    if len(found) < 2:
        return found[0] if found else None

    def call_all(report: Any) -> None:
        for function in found:
            function(report)

    return call_all
