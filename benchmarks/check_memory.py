#!/usr/bin/env python3
"""Compares the memory that train_model plans with the peak that it takes, evaluation and saving
included, at seven shapes; fails where they differ by more than a tenth."""

import array
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

SHAPES = {
    "small": "--data text.txt",
    "short": "--data text.txt --layers 6 --heads 6 --dim 384 --batch 8 --seq 128",
    "wide": "--data wide.bin --vocab 50257 --layers 2 --dim 128 --batch 8 --seq 128",
    "crowd": "--data wide.bin --vocab 50257 --layers 2 --dim 128 --batch 24 --seq 128 "
             "--workers 48 --activate-all",
    "lattice": "--data wide.bin --vocab 50257 --layers 2 --dim 128 --batch 8 --seq 128 --lattice",
    "bf16": "--data text.txt --precision bf16 --dim 256 --batch 16 --seq 256",
    "recompute": "--data text.txt --recompute --layers 8 --dim 256 --batch 16 --seq 256",
}
STEPS = "--steps 3 --eval-every 2 --save-every 2"


def write_data(folder: pathlib.Path, count: int = 300000) -> None:
    draw = random.Random(1)
    (folder / "text.txt").write_text(
        "".join(draw.choice("etaoin shrdlu.\n") for _ in range(count)))
    tokens = array.array("H", (draw.randrange(50257) for _ in range(count)))
    (folder / "wide.bin").write_bytes(tokens.tobytes())


def measure(program: str, options: str, folder: pathlib.Path, out: str) -> tuple[float, float]:
    """MiB that were planned and MiB that were taken."""
    command = [program, *options.split(), *STEPS.split(), "--out", out, "--verbose"]
    run = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True)
    printed = run.stdout.read()
    _, status, usage = os.wait4(run.pid, 0)
    planned = re.search(r"^memory +([\d,]+) MiB", printed, re.MULTILINE)
    if status != 0 or not planned:
        sys.exit(f"{options}\n{printed}")
    return float(planned.group(1).replace(",", "")), usage.ru_maxrss / 1024


def main() -> None:
    program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/release/bin/train_model")
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_data(folder)
        for shape in sys.argv[2:] or SHAPES:
            planned, taken = measure(program, SHAPES[shape], folder, shape)
            off = planned / taken - 1
            wrong += abs(off) > 0.1
            print(f"{shape:10} planned {planned:6.0f} MiB, taken {taken:6.1f}: {off:+.1%}",
                  flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
