"""The progress of a run in a notebook: one bar that changes in its place."""

import html
import sys
import time
from typing import Any

from cllm._cllm import EvaluationReport, StepReport

SECONDS = 0.25  # between two changes; a browser needs time for each


def is_here() -> bool:
    """Whether this code runs in a notebook, or in another front end of a Jupyter kernel."""
    shell = sys.modules.get("IPython")
    instance: Any = shell.get_ipython() if shell is not None else None
    return instance is not None and getattr(instance, "kernel", None) is not None


def duration(seconds: float) -> str:
    minutes, whole = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{whole:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{whole:02}"


class Bar:
    """A callback that shows the last step and the last evaluation, and below them what a run has to
    say. Its text for front ends without HTML is one line."""

    def __init__(self, first: int, last: int) -> None:
        from IPython.display import display

        self._first, self._last = first, last
        self._step = first
        self._state = "preparing"
        self._evaluation = ""
        self._notes: list[str] = []
        self._summary_came = False
        self._started = time.monotonic()
        self._shown = 0.0
        self._handle: Any = display(self, display_id=True)

    def on_note(self, note: str) -> None:
        if not self._summary_came:  # the first is what config.toml and trainer.config say
            self._summary_came = True
            self._started = time.monotonic()
            return
        self._notes.append(note)
        self._update()

    def on_step(self, report: StepReport) -> None:
        self._step = report.step
        if time.monotonic() - self._shown < SECONDS and report.step < self._last:
            return
        done, elapsed = report.step - self._first, time.monotonic() - self._started
        left = elapsed / done * (self._last - report.step)
        self._state = (f"loss {report.loss:.4f}, {report.tokens_per_s:,.0f} tokens/s, "
                       f"{duration(elapsed)} < {duration(left)}")
        self._update()

    def on_evaluation(self, report: EvaluationReport) -> None:
        self._evaluation = f", validation loss {report.val_loss:.4f}"
        self._update()

    def on_end(self, trainer: Any) -> None:
        """Shows where the run ended."""
        self._step = trainer.steps_done
        if self._step < self._last:
            self._state += ", stopped"
        self._update()

    def _update(self) -> None:
        self._shown = time.monotonic()
        if self._handle is not None:
            self._handle.update(self)

    def _line(self) -> str:
        return f"step {self._step}/{self._last}: {self._state}{self._evaluation}"

    def __repr__(self) -> str:
        return "\n".join([self._line(), *self._notes])

    def _repr_html_(self) -> str:
        notes = "".join(f"<div>{html.escape(note)}</div>" for note in self._notes)
        return (f'<div><progress value="{self._step}" max="{self._last}" style="width: 20em">'
                f"</progress> {html.escape(self._line())}</div>{notes}")
