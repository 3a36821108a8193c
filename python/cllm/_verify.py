"""The promise of one answer, checked: the same steps on several numbers of workers."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cllm import TrainConfig, Trainer

Tensors = dict[str, NDArray[np.float32]]


@dataclass
class Trained:
    """What one number of workers came to."""

    workers: int
    threads: int
    hash: str
    loss: float
    tensors: Tensors


def made_up_text(size: int = 60_000) -> str:
    """Words in lines, always the same."""
    pick = random.Random(12)
    syllables = [a + b for a in "bdfgklmnprstvw" for b in ("a", "e", "i", "o", "u", "ar", "en")]
    words = ["".join(pick.choices(syllables, k=pick.randint(1, 3))) for _ in range(400)]
    text = ""
    while len(text) < size:
        text += " ".join(pick.choices(words, k=pick.randint(4, 9))).capitalize() + ".\n"
    return text


def first_difference(one: Tensors, other: Tensors) -> str | None:
    """Where two models part: the first tensor, its first element and how many more there are."""
    for name, values in one.items():
        unlike = values.view(np.uint32) != other[name].view(np.uint32)
        count = int(unlike.sum())
        if count:
            place = np.unravel_index(int(unlike.argmax()), unlike.shape)
            index = ", ".join(map(str, place))
            return (f"{name}[{index}] is {values[place]!r} and {other[name][place]!r}; "
                    f"{count} of {values.size} elements of this tensor differ")
    return None


def train_at(config: TrainConfig, workers: int) -> Trained:
    """All steps of the configuration on this many workers, every one of them at work."""
    trainer = Trainer(config.replace(workers=workers, activate_all=True, quiet=True))
    loss = float("nan")
    for report in trainer:
        loss = report.loss
    tensors = {name: view.copy() for name, view in trainer.parameters().items()}
    return Trained(workers, len(trainer.spheres()), trainer.weights_hash(), loss, tensors)


def verify(workers: Sequence[int], config: TrainConfig) -> Iterator[Trained]:
    """Trains on each number in turn; data and out may be "": text is made, nothing is written."""
    with tempfile.TemporaryDirectory(prefix="cllm-verify-") as folder:
        data = config.data
        if not data:
            data = str(Path(folder) / "text.txt")
            Path(data).write_text(made_up_text(), encoding="utf-8")
        prepared = config.replace(data=data, out=str(Path(folder) / "run"))
        for count in workers:
            yield train_at(prepared, count)
