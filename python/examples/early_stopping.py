"""Training that ends when the validation loss has stopped falling, and keeps the best model.

Run it with a text file: python early_stopping.py my_text.txt
"""

import sys

import cllm

config = cllm.TrainConfig(data=sys.argv[1], out="early-stopping", overwrite=True, layers=2, dim=64,
                          lr=5e-3, steps=2000, eval_every=20, keep_best=True)
stopping = cllm.EarlyStopping(patience=2, min_delta=0.01)
trainer = cllm.Trainer(config, callbacks=[stopping])
trainer.run(progress=True)

print(f"{trainer.steps_done} of {trainer.steps_total} steps, "
      f"the best was {stopping.best_step} with a validation loss of {stopping.best_loss:.3f}")
best = cllm.Model.load("early-stopping/checkpoints/best")
print(best.generate("The ", tokens=60))
