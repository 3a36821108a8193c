"""The same training step in PyTorch, as a careful user would write it: a program of its own.

Scaled-dot-product attention, cross-entropy over all logits, fused AdamW, clipping at 1, no dropout,
random tokens. It prints one JSON object; `cllm bench --vs torch` runs it.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

from cllm._step_program import arguments, peak_memory


class GptBlock(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.hidden, self.output = nn.Linear(width, hidden), nn.Linear(hidden, width)

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
    def __init__(self, shape: argparse.Namespace) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocab, shape.dim)
        self.positions = nn.Embedding(shape.seq, shape.dim)
        hidden = shape.hidden or 4 * shape.dim
        self.blocks = nn.Sequential(
            *(GptBlock(shape.dim, shape.heads, hidden) for _ in range(shape.layers)))
        self.norm = nn.LayerNorm(shape.dim)

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        x = self.tokens(inputs) + self.positions(torch.arange(inputs.shape[1]))
        logits = F.linear(self.norm(self.blocks(x)), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


class LlamaBlock(nn.Module):
    def __init__(self, shape: argparse.Namespace) -> None:
        super().__init__()
        self.heads, self.kv_heads = shape.heads, shape.kv_heads
        self.head_width = shape.dim // shape.heads
        keys = self.kv_heads * self.head_width
        self.norm1, self.norm2 = nn.RMSNorm(shape.dim, 1e-5), nn.RMSNorm(shape.dim, 1e-5)
        self.q = nn.Linear(shape.dim, shape.dim, bias=False)
        self.k = nn.Linear(shape.dim, keys, bias=False)
        self.v = nn.Linear(shape.dim, keys, bias=False)
        self.projection = nn.Linear(shape.dim, shape.dim, bias=False)
        self.gate = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.up = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.dim, bias=False)

    def by_heads(self, x: torch.Tensor, heads: int) -> torch.Tensor:
        return x.view(x.shape[0], x.shape[1], heads, self.head_width).transpose(1, 2)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        normed = self.norm1(x)
        q = turned(self.by_heads(self.q(normed), self.heads), cos, sin)
        k = turned(self.by_heads(self.k(normed), self.kv_heads), cos, sin)
        v = self.by_heads(self.v(normed), self.kv_heads)
        group = self.heads // self.kv_heads
        attended = F.scaled_dot_product_attention(
            q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1), is_causal=True)
        x = x + self.projection(attended.transpose(1, 2).reshape(x.shape))
        normed = self.norm2(x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


def turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """x[B, H, T, D] after rotary positions."""
    half = x.shape[-1] // 2
    return (x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin).to(x.dtype)


class Llama(nn.Module):
    cos: torch.Tensor
    sin: torch.Tensor

    def __init__(self, shape: argparse.Namespace) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocab, shape.dim)
        self.blocks = nn.ModuleList(LlamaBlock(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.dim, 1e-5)
        width = shape.dim // shape.heads
        turns = torch.outer(torch.arange(shape.seq).float(),
                            10000.0 ** (-torch.arange(0, width, 2) / width)).repeat(1, 2)
        self.register_buffer("cos", turns.cos())
        self.register_buffer("sin", turns.sin())

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        x = self.tokens(inputs)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def model_of(shape: argparse.Namespace) -> nn.Module:
    return Llama(shape) if shape.family == "llama" else Gpt(shape)


def time_steps(shape: argparse.Namespace) -> list[float]:
    """Milliseconds of each timed step."""
    torch.manual_seed(1)
    model = model_of(shape)
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
