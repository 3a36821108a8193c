"""What `cllm bench` does with its options: which shapes, how often, and the tables."""

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import cllm
from cllm import _bench, _machine, _output
from cllm._bench import Case, Effort, Result
from cllm._words import count, mib


def cores() -> int:
    """What --workers auto means."""
    return cllm.plan_step(cllm.TrainConfig()).workers


def chosen(names: Sequence[str], model: Path | None, batch: int | None, seq: int | None
           ) -> dict[str, Case]:
    """The cases that are named, all of them when none is, or the folder's."""
    if model is None:
        for option, value in (("--batch", batch), ("--seq", seq)):
            if value is not None:
                raise cllm.InputError(f"{option}: cases have one of their own: got {value}, "
                                      "expected --model FOLDER with it")
        unknown = [name for name in names if name.upper() not in _bench.CASES]
        if unknown:
            raise cllm.InputError(f'no such case: got "{unknown[0]}", expected '
                                  f"{', '.join(_bench.CASES)}, or --model FOLDER")
        return {name.upper(): _bench.CASES[name.upper()] for name in names or _bench.CASES}
    if names:
        raise cllm.InputError(f'a case and a model: got "{names[0]}" and --model {model}, '
                              "expected one of them")
    config = cllm.Model.load(model).config
    for option, value in (("--batch", batch), ("--seq", seq)):
        if value is not None and value < 1:
            raise cllm.InputError(f"{option}: too small: got {value}, expected at least 1")
    if seq is not None and seq > config.seq:
        raise cllm.InputError(f"--seq: longer than the model's context: got {seq}, expected at "
                              f"most {config.seq}")
    case = Case(config.layers, config.heads, config.dim, config.vocab, batch or 12,
                seq or config.seq, config.family, hidden=config.hidden)
    if config.family != "gpt2":
        case = replace(case, kv_heads=config.kv_heads, head_dim=config.head_dim)
    return {str(model): case}


def _step_row(table: Table, name: str, r: Result) -> None:
    table.add_row(name, f"{r['milliseconds']:,.1f}", f"{r['least']:,.1f} to {r['most']:,.1f}",
                  f"{r['tokens_per_second']:,.0f}", f"{r['gflops']:,.0f}",
                  f"{100 * r['mfu']:.1f} %", mib(r["peak_memory"]),
                  f"{r['round_trip_ns']:.0f} ns" if r["round_trip_ns"] else "")


def _step_table() -> Table:
    table = Table("case", "ms a step", "least to most", "tokens/s", "GFLOP/s", "MFU", "memory",
                  "cores", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def measured_machine(workers: int, gemm: str) -> cllm.Machine:
    return cllm.Machine.measure(sorted({1, workers}), gemm=gemm)


def machine_only(workers: int, gemm: str, out: Path | None, console: Console | None) -> None:
    machine = measured_machine(workers, gemm)
    file = out or _machine.default_file()
    _machine.write(machine, file)
    if console is None:
        print(machine.to_json())
    else:
        _machine.show(machine, console)
        console.print(f"kept in {file}", style="dim")


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def steps(cases: dict[str, Case], workers: int, effort: Effort, gemm: str, console: Console | None
          ) -> dict[str, Any]:
    results: dict[str, Any] = {}
    table = _step_table()
    for name, case in cases.items():
        _progress(f"{name}: {case}, {count(workers, 'worker')}")
        results[name] = _bench.ours(case, workers, effort, gemm)
        _step_row(table, name, results[name])
    if console:
        console.print(table)
        console.print(_part_table(results))
    return results


def _part_table(results: dict[str, Any]) -> Table:
    """Where the workers' time went: a column for each case, percent of what there was."""
    table = Table("worker time, % of the step", *results, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for part in next(iter(results.values()))["parts"]:
        shares = (100 * r["parts"][part] / (r["workers"] * r["parts_milliseconds"])
                  for r in results.values())
        table.add_row(part, *(f"{share:.1f}" for share in shares))
    return table


def versus_torch(cases: dict[str, Case], workers: int, effort: Effort, rounds: int, force_mkl: bool,
                 eager_only: bool, gemm: str, console: Console | None) -> dict[str, Any]:
    _bench.require_torch()
    for case in cases.values():
        _bench.check_in_torch(case)
    results: dict[str, Any] = {}
    with _bench.forced_mkl() as library:
        preload = library if force_mkl else None
        if force_mkl and library is None:
            _progress("--force-mkl is skipped: no C compiler (cc, gcc or clang) was found")
        for name, case in cases.items():
            _progress(f"{name}: {case}, {count(workers, 'worker')}, "
                      f"{count(rounds, 'round')}")
            compared = _bench.compare(case, workers, effort, rounds, preload, eager_only, gemm)
            results[name] = {"ours": compared.ours, "torch": compared.torch,
                             "ratios": compared.ratios(False),
                             "ratios_forced": compared.ratios(True)}
            if console:
                console.print(_comparison(name, compared))
                version = next(iter(compared.torch.values()))[0]["version"]
                console.print(
                    f"PyTorch {version}, {count(workers, 'thread')}, {effort.precision}, fused "
                    "AdamW, clip 1, scaled_dot_product_attention, no dropout; rounds alternate in "
                    "processes of their own; forced: MKL's AVX-512 path, preloaded\n", style="dim")
    return results


def _comparison(name: str, compared: _bench.Comparison) -> Table:
    table = Table(name, "ms a step", "least to most", "memory", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    torch = {f"PyTorch {mode}": rounds for mode, rounds in compared.torch.items()}
    for what, rounds in ({"cllm": compared.ours} | torch).items():
        times = [r["milliseconds"] for r in rounds]
        table.add_row(what, f"{statistics.median(times):,.1f}", f"{min(times):,.1f} to "
                      f"{max(times):,.1f}", mib(max(r["peak_memory"] for r in rounds)))
    for what, forced in (("as installed", False), ("forced", True)):
        ratios = compared.ratios(forced)
        if ratios:
            table.add_row(f"times as fast as its best mode, {what}", _bench.spread(ratios))
    return table


def write_json(results: dict[str, Any], out: Path | None, as_json: bool) -> None:
    text = json.dumps(results, indent=1)
    if out:
        _output.write(out, text + "\n")
    if as_json:
        print(text)
