"""Compares routing by symmetry with dealing in turn: tokens/s, late batches, cache misses.

Runs of train_model alternate on the same data. Cache misses come from valgrind's cachegrind, where
it is installed: of a smaller run on one worker, less those of its preparation. Valgrind has no
AVX-512, so that run takes the AVX2 kernels, or the scalar ones.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PROGRAM = Path(__file__).resolve().parents[1] / "build/release/bin/train_model"
ROUTINGS = ("symmetry", "round_robin")
WARMING = 10  # steps
SMALL = ["--layers", "2", "--heads", "2", "--dim", "64", "--seq", "32", "--batch", "24",
         "--workers", "1"]


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """What is before the first --, and what is after it: argparse would mix them."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1:]


def train(words: list[str], out: Path, before: tuple[str, ...] = (), isa: str = "") -> str:
    """Returns what was said on standard error."""
    environment = os.environ | ({"CLLM_ISA": isa} if isa else {})
    done = subprocess.run([*before, str(PROGRAM), *words, "--out", str(out), "--eval-every", "0",
                           "--save-every", "0", "--quiet"], text=True, capture_output=True,
                          env=environment, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stderr


def run(words: list[str], folder: Path) -> dict[str, Any]:
    train(words, folder)
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    groups = [json.loads(line) for line in (folder / "groups.jsonl").read_text().splitlines()]
    timed = [step for step in steps if "loss" in step][WARMING:]
    return {"tokens_per_s": statistics.median(step["tokens_per_s"] for step in timed),
            "late": sum(step["late"] for step in timed), "steps": len(timed),
            "moved": sum(g["moved"] for g in groups) / sum(g["sequences"] for g in groups)}


def misses(words: list[str], folder: Path) -> tuple[int, int]:
    """First-level and last-level misses of data, reads and writes together."""
    said = train(words, folder, ("valgrind", "--tool=cachegrind", "--cache-sim=yes",
                                 "--cachegrind-out-file=/dev/null"),
                 "avx2" if "avx2" in Path("/proc/cpuinfo").read_text().split() else "scalar")
    return data_misses(said)


def data_misses(said: str) -> tuple[int, int]:
    """The same, from what cachegrind says at its end."""
    first, last = (int(re.search(rf"{name} *misses: +([\d,]+)", said)[1].replace(",", ""))
                   for name in ("D1", "LLd"))
    return first, last


def cache(data: str, steps: int, routing: str, folder: Path) -> tuple[float, float]:
    """Misses of a step."""
    words = ["--data", data, *SMALL, "--routing", routing, "--positions", "4", "--steps"]
    short = misses([*words, "2"], folder / f"{routing}-short")
    long = misses([*words, str(2 + steps)], folder / f"{routing}-long")
    return (long[0] - short[0]) / steps, (long[1] - short[1]) / steps


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="After -- come options of train_model for the timed runs.")
    parser.add_argument("data", help="a text or a data set")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run in turn")
    parser.add_argument("--steps", type=int, default=60, help="of a run")
    parser.add_argument("--cache-steps", type=int, default=8, help="of a run under cachegrind")
    own, further = split_words(sys.argv[1:])
    options = parser.parse_args(own)
    words = ["--data", options.data, *further]
    for name, usual in (("--steps", str(options.steps)), ("--positions", "12"), ("--batch", "48")):
        if not any(word.partition("=")[0] == name for word in further):
            words += [name, usual]
    found: dict[str, list[dict[str, Any]]] = {routing: [] for routing in ROUTINGS}
    table = Table("routing", "tokens/s", "least to most", "late batches", "moved", "D1 misses",
                  "LL misses", box=None)
    with tempfile.TemporaryDirectory() as place:
        for turn in range(options.rounds):
            for routing in ROUTINGS[::1 if turn % 2 == 0 else -1]:
                found[routing].append(run([*words, "--routing", routing],
                                          Path(place) / f"{routing}-{turn}"))
        for routing, runs in found.items():
            rates = [r["tokens_per_s"] for r in runs]
            columns = ["", ""]
            if shutil.which("valgrind"):
                columns = [f"{n:,.0f}" for n in cache(options.data, options.cache_steps, routing,
                                                      Path(place))]
            table.add_row(routing, f"{statistics.median(rates):,.0f}",
                          f"{min(rates):,.0f} to {max(rates):,.0f}",
                          f"{sum(r['late'] for r in runs)} of {sum(r['steps'] for r in runs)}",
                          f"{100 * runs[0]['moved']:.0f} %", *columns)
    Console(soft_wrap=True, highlight=False).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
