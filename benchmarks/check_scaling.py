"""Times training steps with one, two and 64 workers in turns, and checks what more of them gain.

Every number of workers has a trainer of its own; they live side by side and step in turn, so that
what the machine does besides meets all of them. At the small shape there is work for one worker.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cllm
import numpy as np
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Shape:
    layers: int
    heads: int
    dim: int
    batch: int
    seq: int
    speedup: float  # wanted of two workers over one
    steps: int = 1  # timed together, where one is too short to be timed

    def __str__(self) -> str:
        return f"{self.layers}L {self.heads}H {self.dim}, {self.batch} x {self.seq}"


SHAPES = [
    Shape(4, 4, 128, 12, 64, 1.85, steps=20),
    Shape(6, 6, 384, 64, 256, 1.93),
    Shape(12, 12, 768, 1, 1024, 1.8),
]
SMALL = Shape(48, 1, 32, 1, 32, 0, steps=50)
MOST_MORE = 0.03  # of time, by workers that there are no cores or no work for


def trainer_of(shape: Shape, workers: int, data: Path, out: Path) -> cllm.Trainer:
    return cllm.Trainer(cllm.TrainConfig(
        data=str(data), out=str(out), layers=shape.layers, heads=shape.heads, dim=shape.dim,
        seq=shape.seq, batch=shape.batch, workers=workers))


def times_of(shape: Shape, workers: list[int], rounds: int, data: Path) -> dict[int, float]:
    """Median milliseconds of a step, by the number of workers."""
    tokens = np.random.default_rng(1).integers(0, 256, (shape.batch, shape.seq + 1))
    with tempfile.TemporaryDirectory() as folder:
        trainers = {w: trainer_of(shape, w, data, Path(folder) / str(w)) for w in workers}
        times: dict[int, list[float]] = {w: [] for w in workers}
        for turn in range(rounds + 1):  # the first makes memory real
            for w, trainer in trainers.items():
                if shape.steps > 1:  # or the first one's sleepers and cold caches would count
                    trainer.step(tokens)
                start = time.perf_counter()
                for _ in range(shape.steps):
                    trainer.step(tokens)
                if turn > 0:
                    times[w].append(1e3 * (time.perf_counter() - start) / shape.steps)
    return {w: statistics.median(t) for w, t in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed in turn")
    parser.add_argument("--data", type=Path, help="any text",
                        default=Path(__file__).resolve().parents[1] / "README.md")
    options = parser.parse_args()
    wrong = []
    table = Table("shape", "1 worker", "2 workers", "64 workers", "speedup", "64 over 2", box=None)
    for shape in SHAPES:
        ms = times_of(shape, [1, 2, 64], options.rounds, options.data)
        speedup, more = ms[1] / ms[2], ms[64] / ms[2] - 1
        table.add_row(str(shape), *(f"{ms[w]:.2f} ms" for w in (1, 2, 64)),
                      f"{speedup:.2f}", f"{100 * more:+.1f} %")
        if speedup < shape.speedup:
            wrong.append(f"{shape}: 2 workers are {speedup:.2f} times as fast as 1, "
                         f"{shape.speedup} is wanted")
        if more > MOST_MORE:
            wrong.append(f"{shape}: 64 workers take {100 * more:.1f} % longer than 2")
    ms = times_of(SMALL, [1, 64], options.rounds, options.data)
    more = ms[64] / ms[1] - 1
    table.add_row(str(SMALL), f"{ms[1]:.3f} ms", "", f"{ms[64]:.3f} ms", "", "")
    if more > MOST_MORE:
        wrong.append(f"{SMALL}: 64 workers take {100 * more:.1f} % longer than 1")
    Console(soft_wrap=True, highlight=False).print(table)
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
