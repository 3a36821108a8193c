#!/usr/bin/env bash
# Trains nanoGPT's CPU recipe on tiny Shakespeare with three seeds and checks the last validation
# losses: at most 1.92 each, 1.90 on average (nats a byte over the whole last tenth).
set -euo pipefail
cd "$(dirname "$0")/.."
train=${CLLM_TRAIN_MODEL:-build/release/bin/train_model}
data=${1:-../shared/data/tinyshakespeare.txt}
if [[ ! -f $data ]]; then
  echo "check_loss.sh: skipped: no $data (give the text of tiny Shakespeare)" >&2
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for seed in 1 2 3; do
  start=$(date +%s.%N)
  "$train" --data "$data" --out "$work/$seed" --quiet --layers 4 --heads 4 --dim 128 --seq 64 \
    --batch 12 --steps 2000 --lr 1e-3 --min-lr 1e-4 --warmup 100 --beta2 0.99 --weight-decay 0.1 \
    --clip 1 --seed "$seed" --eval-every 250 --eval-tokens 0 \
    --save-every 0
  end=$(date +%s.%N)
  echo "seed $seed: $(grep val_loss "$work/$seed/metrics.jsonl" | tail -n 1)" \
    "in $(python3 -c "print(f'{$end - $start:.1f}')") s"
done
python3 - "$work" <<'PY'
import json
import sys
from pathlib import Path

losses = []
for seed in (1, 2, 3):
    lines = (Path(sys.argv[1]) / str(seed) / "metrics.jsonl").read_text().splitlines()
    losses.append([json.loads(line) for line in lines if "val_loss" in line][-1]["val_loss"])
mean = sum(losses) / len(losses)
print(f"last validation losses {[round(loss, 4) for loss in losses]}, mean {mean:.4f}")
sys.exit(max(losses) > 1.92 or mean > 1.90)
PY
