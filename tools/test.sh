#!/usr/bin/env bash
# Builds and checks CLLM in tiers, the later ones dearer.
#   tools/test.sh          release build, C++ tests, Python tests: at most 10 minutes on two cores;
#                          those that compare with transformers say "skipped: torch"
#   tools/test.sh --lint   formatting and clang-tidy alone
#   tools/test.sh --all    the default tier with torch, transformers and the wheel, lint, sanitizers,
#                          portable build and long tests: 45 minutes
#   tools/test.sh --long   by hand: training runs that are judged by their loss and their busy time
# Every stage runs even when an earlier one failed; the exit status is 0 only if all passed.
# Environment: CLLM_WERROR=ON turns warnings into errors, CLLM_JOBS the number of jobs (default 2),
# CLLM_REQUIRE_PARITY=1 makes a test fail that would be skipped for want of torch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs=${CLLM_JOBS:-2}
long_tests_until=$((30 * 60)) # seconds: in --all, a long test starts before this or not at all
tier=${1:-default}
case $tier in
  default | --all | --long | --lint) ;;
  *)
    echo "test.sh: unknown argument '$tier', expected nothing or --all, --long, --lint" >&2
    exit 2
    ;;
esac
logs=build/test-logs
mkdir -p "$logs"
summary=()
failures=0

# The lines of a log that name what failed: pytest's, ctest's list at its end, lint's findings and
# the compiler's errors.
what_failed() {
  grep -E '^(FAILED|ERROR) |^[[:space:]]*[0-9]+ - .* \([A-Z]|^[^ ]+:[0-9]+:[0-9]+: (error|warning): ' "$1" |
    grep -v '(Disabled)' | sed 's/^[[:space:]]*/    /' | cut -c 1-160 | head -n 20 || true
}

# stage NAME COMMAND...: runs it, keeps its output in a log, notes the outcome for the summary.
stage() {
  local name=$1 begin=$SECONDS status=0
  shift
  printf '\n== %s\n' "$name"
  "$@" 2>&1 | tee "$logs/$name.log" || status=1
  local note
  # The runner's own last word, such as "100% tests passed" or "12 passed in 3.1s".
  note=$(grep -E '[0-9]+% tests passed|[0-9]+ (passed|failed|error).* in [0-9.]+s|^(lint|long): ' \
    "$logs/$name.log" | tail -n 1 | tr -d '=' || true)
  summary+=("$(printf '%-6s %5d s  %-18s %s' "$( ((status)) && echo FAILED || echo ok)" \
    $((SECONDS - begin)) "$name" "$note")")
  if ((status)); then
    failures=$((failures + 1))
    local failed
    failed=$(what_failed "$logs/$name.log")
    if [[ -n $failed ]]; then summary+=("$failed"); fi
  fi
  return 0
}

# Without a build nothing after it means anything.
need() {
  stage "$@"
  if ((failures)); then finish; fi
}

finish() {
  printf '\n== summary (%d min %d s)\n' $((SECONDS / 60)) $((SECONDS % 60))
  printf '%s\n' "${summary[@]}"
  if ((failures)); then
    printf '%d failed; logs are in %s\n' "$failures" "$logs"
    exit 1
  fi
  exit 0
}

run_ctest() {
  local preset=$1
  shift
  ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --no-tests=error "$@"
}

python_tests() {
  local wheel=0
  if [[ $tier == --all ]]; then wheel=1; fi
  CLLM_TEST_WHEEL=$wheel CLLM_BUILD_DIR=$PWD/build/release \
    .venv/bin/python -m pytest -q -ra tests/python
}

# GCC's ThreadSanitizer cannot map its shadow memory on kernels that randomise addresses by more
# than 28 bits; where that cannot be read or is so, the tests run without randomisation.
without_randomisation() {
  local bits
  bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo unknown)
  if [[ $bits != unknown ]] && ((bits <= 28)); then
    "$@"
  elif setarch "$(uname -m)" -R true 2>/dev/null; then
    setarch "$(uname -m)" -R "$@"
  else
    "$@"
  fi
}

sanitizer_build() {
  local preset=$1
  shift
  cmake --preset "$preset" -DCLLM_BUILD_TOOLS=OFF -DCLLM_WERROR="${CLLM_WERROR:-OFF}" \
    ${launcher:+"$launcher"} && cmake --build "build/$preset" -j "$jobs" --target "$@"
}

# Both sanitizers leave out what looks at numbers alone, over and over: bits, slopes and counts of
# messages. The other tests run the same code.
only_bits='^(GoldenBits|Shapes/SteadyShape)\.|^Lattice\.CoefficientsThatStayZero|/LoraWide|/Packed(LoraBf16|Dropout|Blocks)$'
asan_tests() {
  sanitizer_build asan engine_tests kernels_tests unit_tests &&
    run_ctest asan -LE long \
      -E "$only_bits|^Shapes/(ModelGradient|OneAnswer)\.|/ModelGradient\.IsTheDerivative|/(Lora\.SameBits|FrozenWeights\.GiveOne)"
}
tsan_tests() {
  sanitizer_build tsan engine_tests &&
    without_randomisation ctest --test-dir build/tsan -j "$jobs" --output-on-failure \
      --no-tests=error -L engine -LE long \
      -E "$only_bits|/OneAnswer\.(OtherWeights|NothingIsLeft)|/OneAnswer\..*/(OddBf16|Qwen3Bf16|Dropout)\$|/Lora\.[^S]|/FrozenWeights\.GiveThe|/Lora(.*Bf16|Dropout)\$"
}
# By the other compiler: the library with all kernels is compiled, the scalar kernels are tested
# without those for AVX2 and AVX-512, which the other builds test.
portable_tests() {
  CXX=clang++ bash tools/build.sh portable &&
    cmake --preset release -B build/clang -DCMAKE_CXX_COMPILER=clang++ -DCLLM_BUILD_TESTS=OFF \
      -DCLLM_BUILD_TOOLS=OFF -DCLLM_WERROR="${CLLM_WERROR:-OFF}" ${launcher:+"$launcher"} &&
    cmake --build build/clang -j "$jobs" --target cllm &&
    cmake --build build/portable -j "$jobs" \
      --target cllm kernels_tests engine_{golden,one_answer,oracle}_test &&
    run_ctest portable -L kernels -LE long &&
    run_ctest portable -R '^(GoldenBits|Shapes/(OneAnswer|TrainOracle))\.'
}

# One after the other, because they train with all cores; those that no longer fit into the tier's
# time are named and left to --long.
long_tests() {
  local names passed=0 failed=0 left_out=0 name
  names=$(ctest --test-dir build/release -N -L long | sed -n '/(Disabled)$/d; s/^ *Test *#[0-9]*: //p')
  while IFS= read -r name; do
    [[ -n $name ]] || continue
    if [[ $tier == --all ]] && ((SECONDS > long_tests_until)); then
      echo "left out, no time left: $name"
      left_out=$((left_out + 1))
    elif ctest --test-dir build/release --output-on-failure -R "^${name//./\\.}\$"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
    fi
  done <<<"$names"
  echo "long: $passed passed, $failed failed, $left_out left out"
  ((failed == 0))
}

# Ten thousand wrong calls from Python; the default tier makes a thousand.
malformed_calls() {
  CLLM_MALFORMED_CALLS=10000 CLLM_BUILD_DIR=$PWD/build/release \
    .venv/bin/python -m pytest -q -ra tests/python/test_malformed.py
}

lint() { .venv/bin/python tools/dev/lint.py --jobs "$jobs"; }

default_tier() {
  local parity=()
  if [[ $tier == --all ]]; then parity=(--parity); fi
  need build bash tools/build.sh --tests --python "${parity[@]}" release
  stage ctest run_ctest release -LE long
  stage pytest python_tests
}

launcher=
if command -v ccache >/dev/null 2>&1; then launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi

case $tier in
  default) default_tier ;;
  --lint)
    need build bash tools/build.sh --tests release
    stage lint lint
    ;;
  --all)
    default_tier
    stage lint lint
    stage tsan tsan_tests
    stage asan asan_tests
    stage portable portable_tests
    stage long long_tests
    ;;
  --long)
    need build bash tools/build.sh --tests --python release
    stage long long_tests
    stage malformed malformed_calls
    for check in benchmarks/check_{loss,busy,prediction}.sh; do
      if [[ -f $check ]]; then stage "$(basename "$check" .sh)" bash "$check"; fi
    done
    ;;
esac
finish
