"""Checks from a run's spheres.jsonl that workers were busy and that control spheres cost little.

Busy is the time inside tiles over the training steps that the file covers (from the tenth step on,
evaluation and saving left out), summed over the active workers, as a share of wall time times
active workers. A control's CPU time is held against the mean of the active workers'.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def last_lines(path: Path) -> list[dict]:
    """The lines of the newest step in the file, one for each sphere."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    if not lines:
        sys.exit(f"{path}: no lines")
    return [line for line in lines if line["step"] == lines[-1]["step"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--busy", type=float, default=0.90, help="least share of busy time")
    parser.add_argument("--ratio", type=float, default=40,
                        help="worker CPU over control CPU, least")
    options = parser.parse_args()

    spheres = last_lines(options.run / "spheres.jsonl")
    workers = [s for s in spheres if "worker" in s["role"] and s["active"]]
    controls = [s for s in spheres if s["role"] in ("root", "control")]
    wall = workers[0]["wall_s"]
    busy = sum(w["busy_s"] for w in workers) / (wall * len(workers))
    worker_cpu = sum(w["cpu_s"] for w in workers) / len(workers)
    control_cpu = max((c["cpu_s"] for c in controls), default=0.0)
    ratio = worker_cpu / control_cpu if control_cpu else float("inf")
    print(
        f"{len(workers)} active workers, {wall:.2f} s: busy {100 * busy:.1f} %,"
        f" a worker {worker_cpu:.2f} s of CPU, the dearest control {control_cpu:.3f} s"
        f" (1 : {ratio:.0f})"
    )
    if busy < options.busy:
        print(f"busy below {100 * options.busy:.0f} %", file=sys.stderr)
        return 1
    if ratio < options.ratio:
        print(f"a control used more than 1/{options.ratio:.0f} of a worker", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
