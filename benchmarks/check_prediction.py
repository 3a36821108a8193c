"""Compares predicted with measured times of training steps at six shapes, and fails beyond 25 %.

The prediction knows the times of kernels, which are measured first and alone, and the step's plan;
none of its constants comes from a step. Each shape is timed in processes of its own and in turns
with the others; of its medians the least counts, as other work of the machine is not predicted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cllm
from cllm import _bench, _bench_command, _machine
from cllm._bench import Case, Effort
from rich.console import Console
from rich.table import Table

MOST = 0.25
# With the numbers of workers: none of them is a case of `cllm bench`.
SHAPES = [
    (Case(layers=2, heads=2, dim=64, vocab=257, batch=32, seq=64), 1),
    (Case(layers=3, heads=5, dim=320, vocab=1000, batch=24, seq=96), 2),
    (Case(layers=4, heads=8, dim=256, vocab=257, batch=8, seq=128), 2),
    (Case(layers=8, heads=8, dim=512, vocab=4096, batch=4, seq=256), 1),
    (Case(layers=6, heads=6, dim=384, vocab=16384, batch=4, seq=512), 2),
    (Case(layers=12, heads=12, dim=768, vocab=50257, batch=1, seq=1024), 2),
]


def predicted(case: Case, workers: int, machine: cllm.Machine) -> float:
    config = cllm.TrainConfig(layers=case.layers, heads=case.heads, dim=case.dim, seq=case.seq,
                              vocab=case.vocab, batch=case.batch, workers=workers)
    return cllm.predict_step(config, machine).milliseconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each shape is timed")
    parser.add_argument("--seconds", type=float, default=1, help="of steps, each shape and round")
    parser.add_argument("--machine", type=Path, help="a measurement to use instead of a new one")
    options = parser.parse_args()
    cores = _bench_command.cores()
    shapes = [(case, min(workers, cores)) for case, workers in SHAPES]
    machine = (_machine.read(options.machine) if options.machine
               else _bench_command.measured_machine(max(w for _, w in shapes), "auto"))
    rounds = []
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds}", file=sys.stderr, flush=True)
        rounds.append([_bench.ours(case, workers, Effort(options.seconds))["milliseconds"]
                       for case, workers in shapes])
    table = Table("shape", "workers", "predicted", "measured", "off by", box=None)
    worst = 0.0
    for number, (case, workers) in enumerate(shapes):
        ahead = predicted(case, workers, machine)
        measured = min(times[number] for times in rounds)
        off = ahead / measured - 1
        worst = max(worst, abs(off))
        table.add_row(str(case), str(workers), f"{ahead:.2f} ms", f"{measured:.2f} ms",
                      f"{100 * off:+.1f} %")
    Console(soft_wrap=True, highlight=False).print(table)
    if worst > MOST:
        print(f"a prediction is off by {100 * worst:.0f} %: at most {100 * MOST:.0f} % is wanted",
              file=sys.stderr)
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
