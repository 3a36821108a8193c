#!/usr/bin/env python3
"""Trains with 64 threads for some minutes, with resizes, saves, evaluations, stops and interrupts
in between, and fails when memory or handles grow, or when a step is lost.

Usage: soak.py [MINUTES], 30 when not given. Needs the package cllm.
"""

import contextlib
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import cllm


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def turn(trainer: cllm.Trainer, draw: random.Random) -> None:
    """Runs for a moment, until a stop or an interrupt comes."""
    stop_at = trainer.steps_done + draw.randint(20, 120)
    interrupt = draw.random() < 0.3

    def on_step(report: cllm.StepReport) -> None:
        if report.step % 37 == 0:
            trainer.request_save()
        if report.step == stop_at:
            if interrupt:
                signal.raise_signal(signal.SIGINT)
            else:
                threading.Thread(target=trainer.request_stop).start()

    with contextlib.suppress(KeyboardInterrupt):
        trainer.run(on_step=on_step)
    trainer.resize(draw.choice([1, 2, 7, 51, 51, 51, 64]))


def lost_steps(run: Path) -> list[int]:
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()
             if '"loss"' in line]
    return [step for index, step in enumerate(steps) if step != index + 1][:3]


def soak(minutes: float, folder: Path) -> bool:
    draw = random.Random(7)
    text = "".join(draw.choice("etaoin shrdlu.\n") for _ in range(20000))
    (folder / "text.txt").write_text(text)
    trainer = cllm.Trainer(cllm.TrainConfig(
        data=folder / "text.txt", out=folder / "run", layers=2, heads=2, dim=48, seq=32, batch=24,
        steps=10**7, threads=64, eval_every=50, save_every=40, activate_all=True, keep=2))
    started, seen = time.monotonic(), []
    while time.monotonic() - started < 60 * minutes:
        turn(trainer, draw)
        trainer.resize(51)  # so that memory is compared at one number of threads
        seen.append((time.monotonic() - started, resident(), handles()))
    warm = [entry for entry in seen if entry[0] > 60 * minutes / 5]
    half = len(warm) // 2
    early, late = (statistics.median(entry[1] for entry in part)
                   for part in (warm[:half], warm[half:]))
    lost = lost_steps(folder / "run")
    checkpoints = len(list((folder / "run/checkpoints").glob("step-*")))
    print(f"{trainer.steps_done} steps, {len(seen)} turns; resident memory {early / 2**20:.2f} and "
          f"{late / 2**20:.2f} MiB ({late / early - 1:+.2%}), handles "
          f"{min(entry[2] for entry in warm)} to {max(entry[2] for entry in warm)}, "
          f"{checkpoints} checkpoints, steps out of order: {lost}")
    same_handles = len({entry[2] for entry in warm}) == 1
    return late / early < 1.01 and same_handles and not lost and checkpoints <= 3


def main() -> None:
    # A shell starts what it puts in the background with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as name:
        sys.exit(0 if soak(minutes, Path(name)) else 1)


if __name__ == "__main__":
    main()
