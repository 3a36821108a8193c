"""The same training step in PyTorch, as a careful user would write it: a program of its own.

Scaled-dot-product attention, tanh GELU, cross-entropy over all logits, fused AdamW, clipping at 1,
no dropout, random tokens. It prints one JSON object; `cllm bench --vs torch` runs it.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

from cllm._step_program import arguments, peak_memory


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
    def __init__(self, layers: int, heads: int, width: int, vocabulary: int, positions: int
                 ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(positions, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        x = self.tokens(inputs) + self.positions(torch.arange(inputs.shape[1]))
        logits = F.linear(self.norm(self.blocks(x)), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def time_steps(shape: argparse.Namespace) -> list[float]:
    """Milliseconds of each timed step."""
    torch.manual_seed(1)
    model = Gpt(shape.layers, shape.heads, shape.dim, shape.vocab, shape.seq)
    step_model = torch.compile(model) if shape.compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    inputs, targets = torch.randint(shape.vocab, (2, shape.batch, shape.seq))

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=shape.precision == "bf16"):
            loss = step_model(inputs, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return 1e3 * (time.perf_counter() - start)

    for _ in range(2 if shape.steps else 3):
        step()
    times: list[float] = []
    while (len(times) < shape.steps if shape.steps
           else len(times) < 3 or sum(times) < 1e3 * shape.seconds):
        times.append(step())
    return times


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--compiled", action="store_true")
    shape = parser.parse_args()
    torch.set_num_threads(shape.workers)
    times = time_steps(shape)
    print(json.dumps({
        "milliseconds": statistics.median(times),
        "least": min(times),
        "steps": len(times),
        "peak_memory": peak_memory(),
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
    }))


if __name__ == "__main__":
    main()
