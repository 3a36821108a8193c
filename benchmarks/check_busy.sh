#!/usr/bin/env bash
# Trains at two shapes and checks from spheres.jsonl that workers compute and controls rest:
# 4 layers x 128 (12 x 64) busy 90 %, 6 layers x 384 (64 x 256) busy 97 %, controls under 1/40.
set -euo pipefail
cd "$(dirname "$0")/.."
train=${CLLM_TRAIN_MODEL:-build/release/bin/train_model}
data=${1:-../shared/data/tinyshakespeare.txt}
if [[ ! -f $data ]]; then
  echo "check_busy.sh: skipped: no $data (give a text of about a megabyte)" >&2
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$train" --data "$data" --out "$work/a" --quiet --layers 4 --heads 4 --dim 128 --seq 64 --batch 12 \
  --steps 2000 --eval-every 250 --save-every 0
python3 benchmarks/check_busy.py "$work/a" --busy 0.90
"$train" --data "$data" --out "$work/b" --quiet --layers 6 --heads 6 --dim 384 --seq 256 --batch 64 \
  --steps 22 --eval-every 0 --save-every 0
python3 benchmarks/check_busy.py "$work/b" --busy 0.97
