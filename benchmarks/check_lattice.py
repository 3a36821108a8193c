"""Times steps with and without coupled tokens in turns, and checks what the coupling costs.

Each measurement is a process of its own, as `cllm bench` makes them; a round is one of either kind,
in an order that alternates. The cases are those of `cllm bench`: E has a vocabulary of 8192, D is
GPT-2's smallest model.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from cllm import _bench, _bench_command
from rich.console import Console
from rich.table import Table

MOST_MORE = 0.03  # of a step's time


def rounds_of(case: str, options: argparse.Namespace) -> dict[bool, list[_bench.Result]]:
    found: dict[bool, list[_bench.Result]] = {False: [], True: []}
    for turn in range(options.rounds):
        for coupled in (False, True) if turn % 2 == 0 else (True, False):
            effort = _bench.Effort(0, options.steps, options.precision, coupled)
            found[coupled].append(_bench.ours(_bench.CASES[case], options.workers, effort))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=["E", "D"], help="of cllm bench")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed in turn")
    parser.add_argument("--steps", type=int, default=10, help="timed in each process")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--workers", type=int, default=_bench_command.cores())
    options = parser.parse_args()
    wrong = []
    table = Table("case", "plain", "coupled", "median more", "least more", "in jobs of the lattice",
                  box=None)
    for case in options.cases:
        found = rounds_of(case, options)
        median, least = ({coupled: choose(r[name] for r in results)
                          for coupled, results in found.items()}
                         for choose, name in ((statistics.median, "milliseconds"), (min, "least")))
        more, more_least = median[True] / median[False] - 1, least[True] / least[False] - 1
        part = statistics.median(r["parts"]["lattice"] / (r["workers"] * r["parts_milliseconds"])
                                 for r in found[True])
        table.add_row(case, f"{median[False]:.2f} ms", f"{median[True]:.2f} ms",
                      f"{100 * more:+.2f} %", f"{100 * more_least:+.2f} %", f"{100 * part:.2f} %")
        if more > MOST_MORE:
            wrong.append(f"{case}: coupled steps take {100 * more:.1f} % longer, "
                         f"{100 * MOST_MORE:.0f} % are allowed")
    Console(soft_wrap=True, highlight=False).print(table)
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
