"""Times steps that train adapters, in turns with `peft` on PyTorch, and checks speed and memory.

The steps are those of fine-tuning a small instruction model: LoRA of one rank on all linear maps,
rows of packed conversations of which the answers are trained. Each measurement is a process of its
own. `peft` gets causal attention over whole rows, which costs it nothing more, and its best of
eager and compiled steps, in floats or in bf16 where the CPU has it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from cllm import _bench_command
from cllm._step_program import peak_memory
from cllm._words import mib
from rich.console import Console
from rich.table import Table

LEAST_FASTER = 1.5
MOST_MEMORY = 0.6  # of what peft takes
MOST_OF_FULL = 0.7  # of the time of a step that trains all weights
DOCUMENTS = (90, 40, 70, 56)  # tokens of the conversations of a row of 256
TRAINED = 0.4  # of a conversation


def rows(batch: int, length: int, vocabulary: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets and first keys of packed rows, int32[B, T]."""
    inputs = np.random.default_rng(1).integers(vocabulary, size=(batch, length), dtype=np.int32)
    targets = np.roll(inputs, -1, axis=1)
    first_keys = np.zeros(length, np.int32)
    begin = 0
    while begin < length:
        for tokens in DOCUMENTS:
            end = min(begin + tokens, length)
            first_keys[begin:end] = begin
            targets[:, begin:end - int(TRAINED * (end - begin)) - 1] = -1
            targets[:, end - 1:end] = -1
            begin = end
    return inputs, targets, np.tile(first_keys, (batch, 1))


def ours(asked: argparse.Namespace) -> list[float]:
    import cllm

    lora = {"lora": True, "lora_rank": asked.rank} if asked.kind == "lora" else {}
    vocabulary = json.loads((Path(asked.model) / "config.json").read_text())["vocab_size"]
    inputs, targets, first_keys = rows(asked.batch, asked.seq, vocabulary)
    trainer = cllm.Trainer(cllm.TrainConfig(
        init=asked.model, data=inputs.ravel(), batch=asked.batch, seq=asked.seq, steps=1000,
        workers=asked.workers, precision=asked.precision, **lora))
    return timed(lambda: trainer.step(inputs, targets, first_keys), asked.steps)


def theirs(asked: argparse.Namespace) -> list[float]:
    import peft
    import torch
    import transformers

    torch.set_num_threads(asked.workers)
    model = transformers.AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.float32)
    lora = peft.LoraConfig(r=asked.rank, lora_alpha=2 * asked.rank, target_modules="all-linear",
                           task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, lora)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-4, fused=True)
    arrays = rows(asked.batch, asked.seq, model.config.vocab_size)
    inputs, targets, first_keys = (torch.tensor(array).long() for array in arrays)
    positions = torch.arange(asked.seq) - first_keys
    whole = torch.compile(model) if asked.kind == "compiled" else model

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.precision == "bf16"):
            logits = whole(input_ids=inputs, position_ids=positions,
                           attention_mask=torch.ones_like(inputs), use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(
            logits.float().view(-1, logits.shape[-1]), targets.view(-1), ignore_index=-1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()

    return timed(step, asked.steps)


def timed(step: Any, steps: int) -> list[float]:
    """Milliseconds of each step after two."""
    times = []
    for _ in range(2 + steps):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return times[2:]


def measure(asked: argparse.Namespace, kind: str, precision: str) -> dict[str, float]:
    words = [sys.executable, __file__, asked.model, "--kind", kind, "--precision", precision]
    for name in ("batch", "seq", "rank", "workers", "steps"):
        words += [f"--{name}", str(getattr(asked, name))]
    done = subprocess.run(words, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{kind}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(asked: argparse.Namespace) -> int:
    kinds = [("lora", asked.precision), ("full", asked.precision), ("eager", "fp32"),
             ("compiled", "fp32")]
    if asked.precision == "bf16":
        kinds += [("eager", "bf16"), ("compiled", "bf16")]
    found: dict[tuple[str, str], list[dict[str, float]]] = {kind: [] for kind in kinds}
    for turn in range(asked.rounds):
        for kind in kinds if turn % 2 == 0 else reversed(kinds):
            found[kind].append(measure(asked, *kind))
    table = Table("kind", "precision", "ms a step", "trained tokens/s", "memory", box=None)
    trained = int((rows(asked.batch, asked.seq, 9)[1] >= 0).sum())
    times = {kind: statistics.median(f["milliseconds"] for f in each)
             for kind, each in found.items()}
    memory = {kind: max(f["memory"] for f in each) for kind, each in found.items()}
    for (kind, precision), ms in times.items():
        name = {"lora": "cllm, LoRA", "full": "cllm, all weights"}.get(kind, f"peft, {kind}")
        table.add_row(name, precision, f"{ms:,.0f}", f"{1e3 * trained / ms:,.0f}",
                      mib(int(memory[kind, precision])))
    Console().print(table)
    mine, full = kinds[:2]
    best = min(kinds[2:], key=times.__getitem__)
    checks = [
        ("times as fast as peft", times[best] / times[mine], LEAST_FASTER, True),
        ("of peft's memory", memory[mine] / memory[best], MOST_MEMORY, False),
        ("of the time that all weights take", times[mine] / times[full], MOST_OF_FULL, False)]
    missed = 0
    for what, value, mark, least in checks:
        met = value >= mark if least else value <= mark
        missed += not met
        print(f"{value:.2f} {what}, asked {'at least' if least else 'at most'} {mark}"
              f"{'' if met else ': MISSED'}")
    return min(missed, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="folder, such as `cllm data smollm2` makes")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--workers", type=int, default=_bench_command.cores())
    parser.add_argument("--steps", type=int, default=4, help="timed in each process, after two")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--kind", choices=["lora", "full", "eager", "compiled"],
                        help="measures one kind in this process and prints JSON")
    asked = parser.parse_args()
    if asked.kind is None:
        return compare(asked)
    times = (ours if asked.kind in ("lora", "full") else theirs)(asked)
    print(json.dumps({"milliseconds": statistics.median(times), "memory": peak_memory()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
