"""A program that times training steps of one shape in a process of its own and prints JSON; and
what it shares with the one that does the same in PyTorch.
"""

import argparse
import json
from pathlib import Path


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    for name in ("layers", "heads", "dim", "vocab", "batch", "seq", "workers"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--family", default="gpt2")
    for name in ("kv-heads", "head-dim", "hidden"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--seconds", type=float, default=5.0, help="of timed steps")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--steps", type=int, default=0, help="that many timed steps instead")
    return parser


def peak_memory() -> int:
    """The most memory that this process ever had, in bytes. The system's resource usage would count
    that of the process which started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return 0


def main() -> None:
    import cllm

    parser = arguments(__doc__ or "")
    parser.add_argument("--gemm", default="auto")
    parser.add_argument("--lattice", action="store_true")
    shape = parser.parse_args()
    model = cllm.ModelConfig(layers=shape.layers, heads=shape.heads, dim=shape.dim, seq=shape.seq,
                             vocab=shape.vocab, family=shape.family, kv_heads=shape.kv_heads,
                             head_dim=shape.head_dim, hidden=shape.hidden)
    times = cllm.measure_step(model, batch=shape.batch, workers=shape.workers, gemm=shape.gemm,
                              precision=shape.precision, lattice=shape.lattice,
                              seconds=shape.seconds, steps=shape.steps)
    names = ("workers", "parameters", "steps", "milliseconds", "least", "most",
             "tokens_per_second", "gflops", "peak_gflops", "mfu", "messages",
             "round_trip_ns", "parts", "parts_milliseconds")
    print(json.dumps({name: getattr(times, name) for name in names}
                     | {"peak_memory": peak_memory()}))


if __name__ == "__main__":
    main()
