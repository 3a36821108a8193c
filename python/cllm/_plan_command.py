"""What `cllm plan` prints and draws: the tree, how a step is cut, memory, time, the lattice."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

import cllm
from cllm import _clock, _machine, _output, _process, _tree
from cllm._options import option_name
from cllm._words import count, mib


def _forecast(config: cllm.TrainConfig, file: Path | None) -> str:
    """What a step would take here, if this machine was measured."""
    known = file or _machine.default_file()
    how = "`cllm bench --machine-only` measures this machine, once"
    if file is None and not known.exists():
        return f"time    not known: {how}"
    try:
        machine = _machine.read(known)
        forecast = cllm.predict_step(config, machine, str(known))
    except cllm.InputError:
        if file is not None:
            raise
        return f"time    not known, {known} is of another version: {how}"
    if file is None and not machine.here:
        return f"time    not known, {known} is of another machine: {how}"
    whole = forecast.workers * forecast.milliseconds
    share = [100 * ms / whole for ms in (forecast.product_ms, forecast.pass_ms,
                                         forecast.waiting_ms)]
    return (f"time    {forecast.milliseconds:,.1f} ms a step of {count(forecast.workers, 'worker')}"
            f": {share[0]:.0f} % in products, {share[1]:.0f} % in passes, {share[2]:.1f} % waiting;"
            f" {count(forecast.tiles, 'tile')}, {count(forecast.messages, 'message')}")


def show(config: cllm.TrainConfig, machine: Path | None) -> None:
    step = cllm.plan_step(config)
    tree = cllm.plan_tree(step.threads, step.model.symmetry)
    forecast = _forecast(config, machine)  # what it refuses, it refuses before anything is printed
    console = Console(soft_wrap=True, highlight=False)
    workers = len(tree.workers)
    console.print(f"{count(len(tree), 'sphere')}, {workers} of them "
                  f"{'a worker' if workers == 1 else 'workers'} "
                  f"({step.active_workers} would be active on this machine)\n")
    console.print(_tree.draw(tree) + "\n")
    table = Table("level", "spheres", "roles", box=None, pad_edge=False)
    for level, roles in enumerate(_tree.level_counts(tree)):
        described = ", ".join(count(number, role) for role, number in roles.items())
        table.add_row(str(level), str(sum(roles.values())), described)
    console.print(table)
    model = step.model
    family = "" if model.family == "gpt2" else f"{model.family}, "
    adapters = f", {step.trained:,} trained" if config.lora else ""
    of_keys = "" if model.kv_heads == model.heads else f" ({model.kv_heads} of keys)"
    console.print(
        f"\nmodel   {family}{count(model.layers, 'layer')}, {count(model.heads, 'head')}{of_keys}, "
        f"width {model.dim}, vocabulary {model.vocab}: {step.parameters:,} parameters"
        f"{adapters}\n"
        f"step    {step.batch} x {count(step.sequence, 'token')} in S = "
        f"{count(step.shards, 'shard')} of at most {count(step.largest_shard, 'sequence')} on K = "
        f"{count(step.positions, 'position')}\n"
        f"memory  {mib(step.memory)}: parameters {mib(step.parameter_memory)}, moments "
        f"{mib(step.moment_memory)}, gradients and activations "
        f"{mib(step.activation_memory)}, workers {mib(step.worker_memory)}, program, "
        f"data and saving {mib(step.other_memory)}\n"
        + forecast)


def show_clock(where: list[tuple[str, str]], given: list[tuple[str, str]], machine: Path | None,
               data: Path | None, token: str | None, out: Path | None, *, force: bool) -> None:
    """The same, and the clock of the lattice in a file. The vocabulary is the data set's."""
    if data is not None and "vocab" not in {option_name(name) for name, _ in given}:
        where = [*where, ("vocab", str(_clock.vocabulary_of(data)))]
    config = cllm.configure([*where, *given])
    step = cllm.plan_step(config)
    tokens = _clock.Tokens(step.model.vocab, data)
    lit = tokens.found(token, step.model.symmetry)
    file = _output.output_file(out or Path(), "lattice.svg", force=force, redraws=True)
    show(config, machine)
    _output.write(file, _output.drawn(_clock.draw(tokens, step.model.symmetry, lit)))
    _process.tell(f"drawn   {file}")
