"""What this machine does alone: measured, kept in a file, shown."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import cllm
from cllm import _output
from cllm._cache import cache_folder
from cllm._words import one_line

# The kernels that a table shows, with their headings.
_HEADINGS = {
    "gemm_nn": "product, forward",
    "gemm_nt": "product, gradient of inputs",
    "gemm_tn": "product, gradient of weights",
    "gemm_packed": "product, packed weight",
    "attention_forward": "attention, forward",
    "attention_backward": "attention, backward",
    "attention_forward_dropout": "attention, forward, dropout",
    "attention_backward_dropout": "attention, backward, dropout",
    "norm_forward": "norm, forward",
    "norm_backward": "norm, backward",
    "rmsnorm_forward": "RMS norm, forward",
    "rmsnorm_backward": "RMS norm, backward",
    "rotary_forward": "rotary turn, forward",
    "rotary_backward": "rotary turn, backward",
    "bias_residual": "bias and residual",
    "bias_dropout_residual": "bias, dropout and residual",
    "dropout_rows": "dropout",
    "bias_gelu": "bias and GELU, forward",
    "bias_gelu_erf": "bias and GELU (erf), forward",
    "bias_relu": "bias and ReLU, forward",
    "gelu_backward": "GELU, backward",
    "swiglu": "SwiGLU, forward",
    "swiglu_backward": "SwiGLU, backward",
    "softmax_stats": "softmax, forward",
    "softmax_gradient": "softmax, gradient",
    "sum_2": "ordered sum of two",
    "sum_3": "ordered sum of three",
    "sum_squares": "sum of squares",
    "adamw": "AdamW",
}
_ARITHMETIC, _MEMORY = "GFLOP/s", "GB/s"


def default_file() -> Path:
    """Where measurements of this machine are kept for later commands."""
    return cache_folder() / "machine.json"


MOST_BYTES = 1 << 24


def read(file: Path) -> cllm.Machine:
    wanted = "expected what `cllm bench --machine-only` writes"
    name = one_line(str(file).encode(errors="backslashreplace").decode(), 200)
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
    _output.write(file, machine.to_json() + "\n")


def _shown(times: Sequence[cllm.KernelTime], kernel: str) -> list[cllm.KernelTime]:
    """A kernel that computes at its largest sizes, one that moves memory from each cache."""
    own = [time for time in times if time.kernel == kernel]
    if own and not own[-1].operations:
        return own[-len({time.sizes[-1] for time in own}):]
    return own[-1:]


def _where(time: cllm.KernelTime) -> str:
    if time.operations:
        return " x ".join(map(str, time.sizes[:3]))
    kib = time.sizes[-1]
    return f"in {kib} KiB" if kib < 1024 else f"in {kib // 1024} MiB"


def show(machine: cllm.Machine, console: Console) -> None:
    """A table with a column for each number of workers; figures are one worker's."""
    table = Table("one worker's", "", *(f"{r.workers} at work" for r in machine.rates),
                  title=f"{machine.cpu}, {machine.gemm}", box=None, pad_edge=False,
                  title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"

    def row(what: str, where: str, figures: list[float], unit: str) -> None:
        table.add_row(what, where, *(f"{figure:.4g} {unit}" for figure in figures))

    row("product", "768 x 768 x 768", [r.gemm_gflops for r in machine.rates], _ARITHMETIC)
    row("memcpy", "1 MiB, cold", [r.copy_gbs for r in machine.rates], _MEMORY)
    row("waking", "message to reader", [r.wake_us for r in machine.rates], "us")
    for kernel, what in _HEADINGS.items():
        columns = [_shown(r.times, kernel) for r in machine.rates]
        for times in zip(*columns, strict=True):
            unit = _ARITHMETIC if times[0].operations else _MEMORY
            row(what, _where(times[0]),
                [(t.operations or t.bytes_moved) / t.nanoseconds for t in times], unit)
            what = ""
    console.print(table)
