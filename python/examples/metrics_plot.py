"""The metrics of a run in pandas, and its losses over time as a plot.

Run it with a run folder: python metrics_plot.py run
"""

import sys
from pathlib import Path

try:
    import matplotlib.pyplot as plt
    import pandas as pd
except ModuleNotFoundError as error:
    sys.exit(f"metrics_plot.py: {error.name} is missing: pip install pandas matplotlib")

if len(sys.argv) != 2:
    sys.exit("metrics_plot.py: no run folder: python metrics_plot.py run")
run = Path(sys.argv[1])
metrics = pd.read_json(run / "metrics.jsonl", lines=True).set_index("step")
training = metrics["loss"].dropna()
validation = metrics["val_loss"].dropna() if "val_loss" in metrics else training[:0]
print(metrics[["loss", "lr", "tokens_per_s"]].describe())

figure, axes = plt.subplots()
axes.plot(training, alpha=0.3, color="C0")
axes.plot(training.rolling(20, min_periods=1).mean(), color="C0", label="training")
axes.plot(validation, marker="o", color="C1", label="validation")
axes.set(xlabel="step", ylabel="loss, nats a token")
axes.legend()
figure.savefig(run / "loss.png")
print(f"the plot is in {run / 'loss.png'}")
