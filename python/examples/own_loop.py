"""A training loop of your own: your batches, your learning rate, a look at the gradients.

Run it with a text file: python own_loop.py my_text.txt
"""

import sys
from pathlib import Path

import cllm
import numpy as np

STEPS, BATCH, SEQ = 100, 12, 64

text = Path(sys.argv[1]).read_bytes()
border = len(text) * 9 // 10
train, held_back = text[:border], text[border:]
tokens = np.frombuffer(train, dtype=np.uint8)  # a token is a byte

trainer = cllm.Trainer(cllm.TrainConfig(data=train, batch=BATCH, seq=SEQ))
draw = np.random.default_rng(seed=1)
for step in range(1, STEPS + 1):
    trainer.learning_rate = 2e-3 * min(1, step / 10)
    starts = draw.integers(0, len(tokens) - SEQ, size=BATCH)
    report = trainer.step(np.stack([tokens[start : start + SEQ + 1] for start in starts]))
    if step % 20 == 0:
        steepest = max(trainer.gradients().items(), key=lambda item: np.abs(item[1]).max())
        print(f"step {step}: loss {report.loss:.3f}, steepest in {steepest[0]}")

print(f"loss on the held-back text: {trainer.evaluate(held_back).val_loss:.3f}")
trainer.save("own-loop")
print(cllm.Model.load("own-loop").generate("The ", tokens=60))
