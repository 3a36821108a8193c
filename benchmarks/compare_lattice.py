"""Trains with and without coupled tokens, on the tokenizer's ids and on ids by frequency, and
compares validation bits per byte over several seeds at equal tokens.

Every run's result depends on its settings alone, so a busy machine does not change the figures. A
run that is there already is not made again: give the same folder to add seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from compare_routing import PROGRAM, split_words
from rich.console import Console
from rich.table import Table

ORDERS = ("own", "frequency")


def prepare(options: argparse.Namespace, order: str) -> Path:
    made: Path = options.folder / f"data-{order}"
    if not (made / "dataset.json").exists():
        subprocess.run([sys.executable, "-m", "cllm", "prepare", str(options.text), "--out",
                        str(made), "--tokenizer", options.tokenizer, "--order", order,
                        "--val-fraction", str(options.val_fraction), "--quiet"], check=True)
    return made


def bits_per_byte(data: Path, words: list[str], out: Path) -> float:
    """Of the last evaluation."""
    if not (out / "final").exists():
        subprocess.run([str(PROGRAM), "--data", str(data), *words, "--out", str(out), "--overwrite",
                        "--save-every", "0", "--quiet"], check=True)
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [float(line["bits_per_byte"]) for line in lines if "bits_per_byte" in line][-1]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="After -- come options of train_model for every run.")
    parser.add_argument("text", type=Path, help="what is trained on")
    parser.add_argument("folder", type=Path, help="for data sets and runs")
    parser.add_argument("--tokenizer", default="bpe:1024")
    parser.add_argument("--val-fraction", type=float, default=0.1, help="of the text, validates")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="*", default=[1.0],
                        help="--lattice-lr of the coupled runs")
    own, words = split_words(sys.argv[1:])
    options = parser.parse_args(own)
    options.folder.mkdir(parents=True, exist_ok=True)
    kinds = [("plain", []), *((f"coupled, rate {rate:g}", ["--lattice", "--lattice-lr", str(rate)])
                              for rate in options.rates)]
    table = Table("ids", "tokens", *(f"seed {seed}" for seed in range(1, options.seeds + 1)),
                  "mean", "deviation", box=None)
    data = {order: prepare(options, order) for order in ORDERS}
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(1, options.seeds + 1):
        for order in ORDERS:
            for kind, more in kinds:
                out = options.folder / f"{order}-{kind.replace(', rate ', '-')}-{seed}"
                settings = [*words, *more, "--seed", str(seed), "--eval-tokens", "0"]
                found.setdefault((order, kind), []).append(
                    bits_per_byte(data[order], settings, out))
                print(out.name, found[order, kind][-1], file=sys.stderr, flush=True)
    for (order, kind), bits in found.items():
        spread = f"{statistics.stdev(bits):.4f}" if len(bits) > 1 else ""
        table.add_row(order, kind, *(f"{b:.4f}" for b in bits), f"{statistics.mean(bits):.4f}",
                      spread)
    Console(soft_wrap=True, highlight=False).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
