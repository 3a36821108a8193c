#!/usr/bin/env bash
# A corpus from end to end, with the figures that it ends in: texts, a tokenizer that is trained on
# them, one model, bits per byte, a sample. Everything is left in FOLDER, which must be new.
#   bash benchmarks/corpus.sh FOLDER enwik8-text    74 MB of Wikipedia, fetched: 12 minutes
#   bash benchmarks/corpus.sh FOLDER squad FILE     SQuAD 1.1 or 2.0, such as dev-v2.0.json or its
#                                                   .gz: half of 2.0's in 3 minutes
# Environment: CLLM_VENV, the environment with cllm (default: .venv); CLLM_STEPS, for a short run.
set -euo pipefail
cllm() { "${CLLM_VENV:-.venv}/bin/python" -m cllm "$@"; }
fail() {
  echo "corpus.sh: $*" >&2
  exit 2
}

(($# >= 2)) || fail "expected FOLDER, and enwik8-text, or squad with a FILE"
folder=$1 corpus=$2
case $corpus in
  enwik8-text)
    tokenizer=bpe:8192
    settings=(--seq 128 --batch 32 --precision bf16)
    epochs=1
    prompt="The city of"
    ;;
  squad)
    (($# == 3)) || fail "squad: expected the FILE"
    tokenizer=bpe:2048
    settings=(--seq 256 --batch 8 --lr 0.002 --dropout 0.1)
    epochs=8
    prompt=$'\nQuestion: When did'
    ;;
  *) fail "got '$corpus', expected enwik8-text or squad" ;;
esac
if [[ -n ${CLLM_STEPS:-} ]]; then
  settings+=(--steps "$CLLM_STEPS")
else
  settings+=(--epochs "$epochs")
fi
mkdir "$folder"

stage() {
  local begin=$SECONDS
  printf '\n== %s\n' "$*"
  "$@"
  printf '== %d s\n' $((SECONDS - begin))
}
stage cllm data "$corpus" "${@:3}" --out "$folder/$corpus.jsonl"
stage cllm prepare "$folder/$corpus.jsonl" --out "$folder/set" --tokenizer "$tokenizer"
stage cllm train --data "$folder/set" --out "$folder/run" --layers 4 --heads 4 --dim 128 \
  "${settings[@]}"
stage cllm eval "$folder/run" --data "$folder/set"
stage cllm generate --model "$folder/run" --prompt "$prompt" --tokens 120 --temperature 0.7
