"""Times a training step of the same model in PyTorch, as a careful user would write it.

Scaled-dot-product attention, tanh GELU, cross-entropy over all logits, fused AdamW, clipping at 1,
no dropout, random tokens; eager and compiled. Prints the median of the timed steps in milliseconds.
Run it alone on the machine, with as many threads as step_bench has workers.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

# layers, heads, width, vocabulary, batch, sequence: the cases of step_bench.cc.
CASES = {
    "A": (4, 4, 128, 65, 12, 64),
    "B": (6, 6, 384, 65, 64, 256),
    "C": (12, 12, 768, 50304, 4, 64),
    "D": (12, 12, 768, 50304, 4, 512),
    "E": (6, 8, 512, 8192, 16, 256),
}


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.hidden, self.output = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, c = x.shape
        q, k, v = (
            y.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            for y in self.qkv(self.norm1(x)).split(c, dim=2)
        )
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(attended.transpose(1, 2).reshape(b, t, c))
        return x + self.output(F.gelu(self.hidden(self.norm2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, layers: int, heads: int, width: int, vocabulary: int, sequence: int) -> None:
        super().__init__()
        self.tokens, self.positions = (
            nn.Embedding(vocabulary, width),
            nn.Embedding(sequence, width),
        )
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        x = self.tokens(inputs) + self.positions(torch.arange(inputs.shape[1]))
        logits = F.linear(self.norm(self.blocks(x)), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def time_case(name: str, compiled: bool, seconds: float) -> float:
    layers, heads, width, vocabulary, batch, sequence = CASES[name]
    torch.manual_seed(1)
    model = Gpt(layers, heads, width, vocabulary, sequence)
    step_model = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    inputs, targets = torch.randint(vocabulary, (2, batch, sequence))

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        step_model(inputs, targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return time.perf_counter() - start

    for _ in range(3):
        step()
    times = []
    while sum(times) < seconds or len(times) < 3:
        times.append(step())
    return 1e3 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), help="A to E")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5, help="timed, for each case and mode")
    parser.add_argument("--eager-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.cases:
        eager = time_case(name, False, options.seconds)
        line = (f"{name}: PyTorch {torch.__version__}, {options.threads} threads: "
                f"eager {eager:.1f} ms")
        if not options.eager_only:
            line += f", compiled {time_case(name, True, options.seconds):.1f} ms"
        print(line, flush=True)


if __name__ == "__main__":
    main()
