#!/usr/bin/env bash
# Builds and checks CLLM in tiers, the later ones dearer.
#   tools/test.sh          release build, C++ tests, Python tests: at most 10 minutes on two cores;
#                          those that compare with transformers say "skipped: torch"
#   tools/test.sh --lint   formatting and clang-tidy alone
#   tools/test.sh --ci     the default tier with torch and transformers, one of the sanitizers (in
#                          turn, by the commit), and lint and portable build if there is time: 45
#                          minutes; what is left out is named
#   tools/test.sh --all    all of these, the slowest Python tests, the wheel, long tests: 2 hours
#   tools/test.sh --long   by hand: training runs that are judged by their loss and their busy time
# Every stage runs even when an earlier one failed; the exit status is 0 only if all that ran passed.
# Environment: CLLM_WERROR=ON turns warnings into errors, CLLM_JOBS the number of jobs (default 2),
# CLLM_REQUIRE_PARITY=1 makes a test fail that would be skipped for want of torch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs=${CLLM_JOBS:-2}
tier=${1:-default}
case $tier in
  default | --ci | --all | --long | --lint) ;;
  *)
    echo "test.sh: unknown argument '$tier', expected nothing or --ci, --all, --long, --lint" >&2
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

# stage_if CONDITION NAME COMMAND...: a stage that --ci leaves out unless the arithmetic condition
# holds.
stage_if() {
  local condition=$1
  shift
  if [[ $tier == --ci ]] && ! ((condition)); then
    summary+=("left out, by --ci: $1 (tools/test.sh --all)")
  else
    stage "$@"
  fi
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
  local all=0
  if [[ $tier == --all ]]; then all=1; fi
  CLLM_TEST_ALL=$all CLLM_BUILD_DIR=$PWD/build/release \
    .venv/bin/python -m pytest -q -ra -n "$jobs" --dist loadfile tests/python
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
    -DCLLM_TEST_PCH="${CLLM_TEST_PCH:-OFF}" ${launcher:+"$launcher"} &&
    cmake --build "build/$preset" -j "$jobs" --target "$@"
}

# Both sanitizers leave out what looks at numbers alone, over and over: bits, slopes and counts of
# messages. The other tests run the same code.
only_numbers='^(GoldenBits|Shapes/SteadyShape|Recompute|Lattice\.CoefficientsThatStayZero)|/(ModelGradient|AdapterGradient)\.IsTheDerivative|/OneAnswer\.(OtherWeights|NothingIsLeft)'
# The threads are the engine's.
tsan_tests() {
  sanitizer_build tsan engine_tests &&
    without_randomisation ctest --test-dir build/tsan -j "$jobs" --output-on-failure \
      --no-tests=error -L engine -LE long -E "$only_numbers"
}
# In --ci the tests of threads have the other sanitizer alone.
asan_tests() {
  local labels=(unit kernels)
  if [[ $tier == --all ]]; then labels+=(engine); fi
  sanitizer_build asan "${labels[@]/%/_tests}" &&
    run_ctest asan -L "$(IFS='|' && echo "${labels[*]}")" -LE long -E "$only_numbers"
}
# By the other compiler: the library with all kernels is compiled; then the scalar kernels are tested
# without those for AVX2 and AVX-512, which the other builds test.
portable_tests() {
  install_clang && portable_build ON --target cllm &&
    portable_build OFF --target cllm cpu_kernel_cases_test gemm_native_test \
      engine_{golden,one_answer,oracle}_test &&
    run_ctest portable -R '^(GoldenBits|KernelCases|Shapes/(OneAnswer|TrainOracle))\.|Native'
}
install_clang() { command -v clang++ >/dev/null || CXX=clang++ bash tools/build.sh portable; }
portable_build() {
  local simd=$1
  shift
  cmake --preset portable -DCMAKE_CXX_COMPILER=clang++ -DCLLM_SIMD="$simd" \
    -DCLLM_ONEDNN="$simd" -DCLLM_BUILD_TOOLS=OFF \
    -DCLLM_WERROR="${CLLM_WERROR:-OFF}" ${launcher:+"$launcher"} &&
    cmake --build build/portable -j "$jobs" "$@"
}

# One after the other, because they train with all cores.
long_tests() {
  local names passed=0 failed=0 name
  names=$(ctest --test-dir build/release -N -L long | sed -n '/(Disabled)$/d; s/^ *Test *#[0-9]*: //p')
  while IFS= read -r name; do
    [[ -n $name ]] || continue
    if ctest --test-dir build/release --output-on-failure -R "^${name//./\\.}\$"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
    fi
  done <<<"$names"
  echo "long: $passed passed, $failed failed"
  ((failed == 0))
}

# Ten thousand wrong calls from Python; the default tier makes a thousand.
malformed_calls() {
  CLLM_MALFORMED_CALLS=10000 CLLM_BUILD_DIR=$PWD/build/release \
    .venv/bin/python -m pytest -q -ra tests/python/test_malformed.py
}

lint() {
  local seconds=1800
  if [[ $tier == --ci ]]; then seconds=180; fi
  .venv/bin/python tools/dev/lint.py --jobs "$jobs" --budget "$seconds"
}

default_tier() {
  local parity=()
  if [[ $tier =~ ^--(ci|all)$ ]]; then parity=(--parity); fi
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
  --ci | --all)
    default_tier
    commit=$(git rev-parse HEAD)
    turn=$((16#${commit:0:1} % 2))
    stage_if "turn == 0" tsan tsan_tests
    stage_if "turn == 1" asan asan_tests
    stage_if "SECONDS < 36 * 60" lint lint
    stage_if "SECONDS < 34 * 60" portable portable_tests
    if [[ $tier == --all ]]; then stage long long_tests; fi
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
