"""Times adapter training on examples that share rows, in turns with one example a row, filled up.

Both train the same examples in steps of the same shape, whose rows are as long as the longest
example; each measurement is a process of its own, and what counts are trained tokens a second. A
trainer that fills a batch up to its own longest example wastes less than one of fixed rows: the
slots that it would compute are counted too.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys

import cllm
from cllm import _bench_command
from rich.console import Console
from rich.table import Table

LEAST_FASTER = 1.8  # times as many trained tokens a second as filled rows give


def filled_slots(lengths: list[int], batch: int) -> float:
    """Slots for each token where each batch is as wide as its longest example, in random order."""
    mixed = random.Random(1).sample(lengths, len(lengths))
    batches = [mixed[i:i + batch] for i in range(0, len(mixed), batch)]
    return sum(max(one) * len(one) for one in batches) / sum(lengths)


def measure(asked: argparse.Namespace) -> dict[str, float]:
    trainer = cllm.Trainer(cllm.TrainConfig(
        init=asked.model, data=asked.data, batch=asked.batch, seq=asked.seq, steps=1000, lora=True,
        lora_rank=16, packing=asked.kind, workers=asked.workers, seed=asked.seed))
    for _ in range(2):
        trainer.step()
    reports = [trainer.step() for _ in range(asked.steps)]
    seconds = sum(report.ms for report in reports) / 1e3
    trained = sum(report.trained_tokens for report in reports)
    return {"trained": trained / seconds, "step": 1e3 * seconds / asked.steps}


def compare(asked: argparse.Namespace) -> int:
    examples = cllm.token_files.DataSet(asked.data).examples()
    lengths = [len(tokens) for tokens, _ in examples]
    asked.seq = asked.seq or max(lengths)
    kinds = ("bfd", "none")
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for turn in range(asked.rounds):
        for kind in kinds if turn % 2 == 0 else reversed(kinds):
            words = [sys.executable, __file__, asked.model, asked.data, "--kind", kind, "--seed",
                     str(turn)]
            for name in ("batch", "seq", "workers", "steps"):
                words += [f"--{name}", str(getattr(asked, name))]
            done = subprocess.run(words, text=True, capture_output=True, check=False)
            if done.returncode:
                sys.exit(f"{kind}: {done.stderr}")
            found[kind].append(json.loads(done.stdout.splitlines()[-1]))
    table = Table("rows", "ms a step", "trained tokens/s", box=None)
    speed = {}
    for kind, each in found.items():
        speed[kind] = statistics.median(one["trained"] for one in each)
        step = statistics.median(one["step"] for one in each)
        table.add_row("packed" if kind == "bfd" else "one example each", f"{step:,.0f}",
                      f"{speed[kind]:,.0f}")
    Console().print(table)
    times = speed["bfd"] / speed["none"]
    print(f"{len(lengths):,} examples of {statistics.mean(lengths):.0f} tokens, the longest of "
          f"{max(lengths)}, in rows of {asked.seq}: {times:.2f} times as fast packed, asked at "
          f"least {LEAST_FASTER}{'' if times >= LEAST_FASTER else ': MISSED'}")
    print(f"batches of {asked.batch} that are as wide as their longest example would have "
          f"{filled_slots(lengths, asked.batch):.2f} slots for each token")
    return int(times < LEAST_FASTER)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="folder, such as `cllm data smollm2` makes")
    parser.add_argument("data", help="data set that `cllm prepare --chat` made for it")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seq", type=int, help="of a row; without it, the longest example")
    parser.add_argument("--workers", type=int, default=_bench_command.cores())
    parser.add_argument("--steps", type=int, default=4, help="timed in each process, after two")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=["bfd", "none"],
                        help="measures one kind in this process and prints JSON")
    asked = parser.parse_args()
    if asked.kind is None:
        return compare(asked)
    print(json.dumps(measure(asked)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
