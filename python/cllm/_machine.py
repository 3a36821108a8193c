"""What this machine does alone: measured, kept in a file, shown."""

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import cllm

# What a table shows of each kernel: a size that is common in steps, what is counted, its unit.
_PRODUCT = "GFLOP/s"
_MEMORY = "GB/s"
_SHOWN = {
    "gemm_nn": ("product, forward", 2.0, _PRODUCT),
    "gemm_nt": ("product, gradient of inputs", 2.0, _PRODUCT),
    "gemm_tn": ("product, gradient of weights", 2.0, _PRODUCT),
    "gemm_packed": ("product, packed weight", 2.0, _PRODUCT),
    "attention_forward": ("attention, forward", 2.0, _PRODUCT),
    "attention_backward": ("attention, backward", 5.0, _PRODUCT),
    "norm_forward": ("norm, forward", 8.0, _MEMORY),
    "norm_backward": ("norm, backward", 20.0, _MEMORY),
    "bias_residual": ("bias and residual", 12.0, _MEMORY),
    "bias_gelu": ("bias and GELU, forward", 12.0, _MEMORY),
    "gelu_backward": ("GELU, backward", 16.0, _MEMORY),
    "softmax_stats": ("softmax, forward", 4.0, _MEMORY),
    "softmax_gradient": ("softmax, gradient", 8.0, _MEMORY),
    "sum_2": ("ordered sum of two", 12.0, _MEMORY),
    "sum_3": ("ordered sum of three", 16.0, _MEMORY),
    "sum_squares": ("sum of squares", 4.0, _MEMORY),
    "adamw": ("AdamW", 28.0, _MEMORY),
}


def default_file() -> Path:
    """Where measurements of this machine are kept for later commands."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cllm" / "machine.json"


MOST_BYTES = 1 << 24


def read(file: Path) -> cllm.Machine:
    wanted = "expected what `cllm bench --machine-only` writes"
    name = str(file).encode(errors="backslashreplace").decode()
    name = name if len(name) <= 200 else f"{name[:97]}...{name[-100:]}"
    try:
        if file.exists() and not file.is_file():  # reading a pipe would wait for its writer
            raise cllm.InputError(
                f"{name}: no measurement of a machine: no ordinary file, {wanted}")
        with file.open("rb") as content:
            text = content.read(MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise cllm.InputError(
            f"{name}: no measurement of a machine: {reason}, {wanted}") from None
    return cllm.Machine.from_json(text, name)


def write(machine: cllm.Machine, file: Path) -> None:
    """Complete or not at all: another command may be reading it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    beside.write_text(machine.to_json() + "\n", encoding="utf-8")
    beside.replace(file)


def _work(time: cllm.KernelTime) -> float:
    sizes = time.sizes
    if time.kernel.startswith("gemm"):
        return float(sizes[0] * sizes[1] * sizes[2])
    if time.kernel.startswith("attention"):
        return float(sizes[0] * sizes[0] * sizes[1])
    return float(sizes[0] * sizes[1] if len(sizes) == 3 else sizes[0])


def _shown(times: Sequence[cllm.KernelTime], kernel: str) -> list[cllm.KernelTime]:
    """A kernel that computes at its largest sizes, one that moves memory from each cache."""
    own = [time for time in times if time.kernel == kernel]
    if _SHOWN[kernel][2] == _MEMORY:
        return own[-len({time.sizes[-1] for time in own}):]
    return own[-1:]


def _where(time: cllm.KernelTime) -> str:
    if _SHOWN[time.kernel][2] == _MEMORY:
        kib = time.sizes[-1]
        return f"in {kib} KiB" if kib < 1024 else f"in {kib // 1024} MiB"
    return " x ".join(map(str, time.sizes[:3]))


def show(machine: cllm.Machine, console: Console) -> None:
    """A table with a column for each number of workers; figures are one worker's."""
    table = Table("one worker's", "", *(f"{r.workers} at work" for r in machine.rates),
                  title=f"{machine.cpu}, {machine.gemm}", box=None, pad_edge=False,
                  title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"

    def row(what: str, where: str, figures: list[float], unit: str) -> None:
        table.add_row(what, where, *(f"{figure:.4g} {unit}" for figure in figures))

    row("product", "768 x 768 x 768", [r.gemm_gflops for r in machine.rates], _PRODUCT)
    row("memcpy", "1 MiB, cold", [r.copy_gbs for r in machine.rates], _MEMORY)
    row("waking", "message to reader", [r.wake_us for r in machine.rates], "us")
    for kernel, (what, factor, unit) in _SHOWN.items():
        columns = [_shown(r.times, kernel) for r in machine.rates]
        for times in zip(*columns, strict=True):
            row(what, _where(times[0]), [factor * _work(t) / t.nanoseconds for t in times], unit)
            what = ""
    console.print(table)
