"""PyTorch in the same process: it sees the weights without a copy, and confirms the loss.

Run it with a text file: python beside_torch.py my_text.txt
"""

import sys

try:
    import torch
except ModuleNotFoundError:
    sys.exit("beside_torch.py: torch is missing: pip install torch")
import cllm
import numpy as np

trainer = cllm.Trainer(cllm.TrainConfig(data=sys.argv[1], seq=64))
embedding = torch.from_numpy(trainer.parameters()["transformer.wte.weight"])  # a view
for _ in range(3):
    for _ in range(20):
        report = trainer.step()
    spread = torch.linalg.svdvals(embedding)
    print(f"step {report.step}: loss {report.loss:.3f}, singular values of the embedding "
          f"{spread[0]:.2f} to {spread[-1]:.2f}")

trainer.save("beside-torch")
model = cllm.Model.load("beside-torch")
text = np.fromfile(sys.argv[1], dtype=np.uint8)[: 8 * 65].reshape(8, 65).astype(np.int64)
logits = torch.from_numpy(model.logits(text[:, :-1]))
targets = torch.from_numpy(text[:, 1:])
theirs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
ours, _ = model.loss_and_gradients(text[:, :-1], text[:, 1:])
print(f"the loss by PyTorch {theirs:.5f}, by CLLM {ours:.5f}")
assert abs(theirs - ours) < 1e-4
