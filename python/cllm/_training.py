"""A run on the command line: with progress, and saved when a signal comes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import typer

import cllm
from cllm import _cllm, _process


def train_to_end(settings: cllm.TrainConfig, command: str, callbacks: Sequence[object] = (),
                 ) -> cllm.Trainer:
    """Trains to the last step. A run that was stopped ends the command with its exit code, after
    saying how `command` continues it."""
    quiet = settings.quiet
    _cllm.catch_stop_signals(announce=not quiet)
    try:
        trainer = cllm.Trainer(settings, callbacks=callbacks,
                               on_note=None if quiet else _process.tell)
        with _cllm.StopOnSignal(trainer):
            outcome = trainer.run(progress=True)
    finally:
        _process.leave_quietly()
    if outcome is cllm.RunOutcome.STOPPED:
        if not quiet:
            _process.tell(f"stopped after step {trainer.steps_done} of {trainer.steps_total}; to "
                          f"continue: {command} --resume {quoted(trainer.config.out)}")
        raise typer.Exit(_process.STOPPED)
    return trainer


def newest_or_best(trainer: cllm.Trainer) -> Path:
    """The run folder or, where it was kept, its best checkpoint."""
    folder = Path(trainer.config.out)
    best = folder / "checkpoints/best"
    return best if trainer.config.keep_best and best.exists() else folder


def quoted(path: str | Path) -> str:
    return shlex.quote(str(path))
