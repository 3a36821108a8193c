"""Whole training steps in processes of their own: ours, and PyTorch's beside them."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cllm
from cllm._words import count

Result = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """The shape of a model and of its step batch."""

    layers: int
    heads: int
    dim: int
    vocab: int
    batch: int
    seq: int
    family: str = "gpt2"
    kv_heads: int | None = None
    head_dim: int | None = None
    hidden: int | None = None

    def words(self) -> list[str]:
        return [word for name, value in asdict(self).items() if value is not None
                for word in (f"--{name.replace('_', '-')}", str(value))]

    def __str__(self) -> str:
        return (f"{self.family}, {count(self.layers, 'layer')}, {count(self.heads, 'head')}, "
                f"width {self.dim}, vocabulary {self.vocab}, {self.batch} x "
                f"{count(self.seq, 'token')}")


# Shapes that training on CPUs is often compared at: nanoGPT's recipes, GPT-2's smallest, and of the
# Llama family SmolLM2-135M and a sibling of B.
CASES = {
    "A": Case(4, 4, 128, 65, 12, 64),
    "B": Case(6, 6, 384, 65, 64, 256),
    "C": Case(12, 12, 768, 50304, 4, 64),
    "D": Case(12, 12, 768, 50304, 4, 512),
    "E": Case(6, 8, 512, 8192, 16, 256),
    "F": Case(30, 9, 576, 49152, 4, 256, "llama", kv_heads=3, hidden=1536),
    "G": Case(6, 6, 384, 65, 64, 256, "llama", kv_heads=6, hidden=1024),
}


@dataclass(frozen=True)
class Effort:
    """How each process measures: `steps`, or for `seconds` when that is 0; of which precision, and
    whether ours couples tokens."""

    seconds: float
    steps: int = 0
    precision: str = "fp32"
    lattice: bool = False

    def words(self) -> list[str]:
        return ["--seconds", str(self.seconds), "--steps", str(self.steps),
                "--precision", self.precision]


def _program(module: str, words: list[str], preload: Path | None = None) -> Result:
    environment = dict(os.environ)
    if preload:
        environment["LD_PRELOAD"] = f"{preload} {environment.get('LD_PRELOAD', '')}".strip()
    done = subprocess.run([sys.executable, "-m", module, *words], env=environment, text=True,
                          capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing was said"]
        reason = said[-1].removeprefix("cllm.InputError: ")
        if "cllm.InputError: " in said[-1]:
            raise cllm.InputError(reason)
        raise cllm.CllmError(f"{module} ended with {done.returncode}: {reason}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def ours(case: Case, workers: int, effort: Effort, gemm: str = "auto") -> Result:
    coupled = ["--lattice"] if effort.lattice else []
    return _program("cllm._step_program", [*case.words(), "--workers", str(workers),
                                           *effort.words(), "--gemm", gemm, *coupled])


def check_in_torch(case: Case) -> None:
    """Raises InputError for a shape that the program in PyTorch does not have."""
    if case.family not in ("gpt2", "llama"):
        raise cllm.InputError(f'--vs torch: no such model to compare with: got "{case.family}", '
                              'expected "gpt2" or "llama"')
    if case.head_dim not in (None, case.dim // case.heads):
        raise cllm.InputError(f"--vs torch: heads of another width: got {case.head_dim}, expected "
                              f"{case.dim // case.heads}, width over heads")


def torch_step(case: Case, workers: int, effort: Effort, *, compiled: bool,
               preload: Path | None = None) -> Result:
    mode = ["--compiled"] if compiled else []
    return _program("cllm._torch_step", [*case.words(), "--workers", str(workers), *effort.words(),
                                         *mode], preload)


def require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise cllm.InputError("--vs torch: PyTorch is not installed: got no module named torch, "
                              "expected version 2.13 (pip install torch==2.13.0)")


_SAYS_YES = "int mkl_serv_intel_cpu_true(void) { return 1; }\n"


@contextmanager
def forced_mkl() -> Iterator[Path | None]:
    """A library which makes MKL take its AVX-512 path on any CPU; None without a compiler.

    MKL asks whether the CPU is its maker's and takes an AVX2 path when not, although AMD's cores
    have had AVX-512 since Zen 4. Preloading one function changes the answer.
    """
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CC", ""), "cc", "gcc",
                                                    "clang"))), None)
    if compiler is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="cllm-bench-") as folder:
        source, library = Path(folder, "yes.c"), Path(folder, "libyes.so")
        source.write_text(_SAYS_YES)
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
        yield library


@dataclass
class Comparison:
    """Rounds of ours and PyTorch's in turn; lists go by round."""

    ours: list[Result] = field(default_factory=list)
    torch: dict[str, list[Result]] = field(default_factory=dict)  # by mode

    def ratios(self, forced: bool) -> list[float]:
        """How many times as long PyTorch's best mode of a round took as ours beside it."""
        modes = [rounds for mode, rounds in self.torch.items() if ("forced" in mode) == forced]
        return [min(rounds[r]["milliseconds"] for rounds in modes) / mine["milliseconds"]
                for r, mine in enumerate(self.ours)] if modes else []


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def compare(case: Case, workers: int, effort: Effort, rounds: int, preload: Path | None,
            eager_only: bool = False, gemm: str = "auto") -> Comparison:
    """Alternates, so that an hour in which the machine is slow is slow for all."""
    result = Comparison()
    modes = [("eager", False), ("compiled", True)][:1 if eager_only else 2]
    for _ in range(rounds):
        result.ours.append(ours(case, workers, effort, gemm))
        for forced in [None, preload] if preload else [None]:
            for mode, compiled in modes:
                name = f"{mode}, forced" if forced else mode
                result.torch.setdefault(name, []).append(
                    torch_step(case, workers, effort, compiled=compiled, preload=forced))
    return result
