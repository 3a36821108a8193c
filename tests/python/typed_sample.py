"""Uses the public interface; mypy must agree with every type in it, in strict mode."""

from pathlib import Path

import cllm
import numpy as np
from numpy.typing import NDArray


def training(data: Path) -> float:
    config = cllm.TrainConfig(data=data, out="run", steps=10, lr=1e-3, workers="auto")
    config.batch = config.batch * 2
    config.workers = 3
    losses: list[float] = []

    def remember(report: cllm.StepReport) -> None:
        losses.append(report.loss)

    trainer = cllm.Trainer(config.replace(warmup=2, no_bias=True))
    if trainer.run(on_step=remember) is cllm.RunOutcome.STOPPED:
        raise KeyboardInterrupt
    tokens: NDArray[np.int64] = np.zeros((24, 65), np.int64)
    trainer.step(tokens)
    trainer.step(tokens[:, :-1], tokens[:, 1:].tolist())
    trainer.resize(2)
    norms = {name: float(np.linalg.norm(array)) for name, array in trainer.gradients().items()}
    busy = sum(sphere.busy_s for sphere in trainer.spheres())
    for report in trainer:
        losses.append(report.loss)
    return losses[-1] + busy + max(norms.values()) + trainer.evaluate().val_loss


def using(folder: str) -> str:
    model = cllm.Model.load(folder, workers=2)
    logits: NDArray[np.float32] = model.logits([[1, 2, 3]])
    loss, gradients = model.loss_and_gradients([[1]], [[2]])
    ids: NDArray[np.int32] = model.generate([1, 2], tokens=4, top_k=3)
    raw: bytes = model.generate(b"a")
    fresh = cllm.Model.create(cllm.ModelConfig(layers=1, heads=1, dim=8), byte_tokens=True)
    fresh.save(Path(folder) / "fresh")
    tree = cllm.plan_tree(64)
    total = float(logits.sum()) + loss + float(gradients["transformer.wte.weight"].sum())
    return model.generate("To be") + f"{total} {ids} {raw!r} {len(tree)} {tree.workers[0]}"


def wrong() -> None:
    cllm.TrainConfig(steps="ten")  # type: ignore[arg-type]
    cllm.TrainConfig(bacth=3)  # type: ignore[call-arg]
    cllm.TrainConfig(schedule="foo")  # type: ignore[arg-type]
    cllm.TrainConfig().precision = "fp8"  # type: ignore[assignment]
    cllm.plan_tree(64).levels = 3  # type: ignore[misc]
    cllm.Model.load("x").generate(3)  # type: ignore[call-overload]
    cllm.Trainer("run")  # type: ignore[arg-type]
