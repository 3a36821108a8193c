#!/usr/bin/env bash
# Builds CLLM: installs what is missing (apt packages, a .venv in the checkout), configures, compiles.
#   tools/build.sh [--tests] [--python] [--parity] [preset ...]
# Presets: release (default) dev asan tsan portable. release and portable build the programs alone
# unless --tests is given; --python installs the Python package into .venv as well; --parity also
# installs torch and transformers there, which are large. A second run that has nothing to do takes
# a second or two. Environment: CXX the compiler, CLLM_WERROR=ON turns warnings into errors,
# CLLM_TEST_PCH=ON precompiles headers of the tests (for a build without ccache), CLLM_JOBS the number
# of compile jobs (default: the cores), CLLM_VENV an environment of Python to use in place of .venv as
# it is, so that nothing is installed into it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CXX=${CXX:-g++} # CMake reads it when a build folder is new
# Python would set LC_CTYPE for pip's compilations where no locale is set, and ccache, which counts
# the locale as part of a compilation, would not know them again.
export LC_ALL=C.UTF-8
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$PWD} # what another checkout has compiled is known here
jobs=${CLLM_JOBS:-$(nproc)}
with_tests=no
with_python=no
with_parity=no
presets=()
while (($#)); do
  case $1 in
    --tests) with_tests=yes ;;
    --python) with_python=yes ;;
    --parity) with_parity=yes ;;
    -h | --help)
      sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    release | dev | asan | tsan | portable) presets+=("$1") ;;
    *)
      echo "build.sh: unknown argument '$1', expected --tests, --python," \
        "--parity or a preset: release dev asan tsan portable" >&2
      exit 2
      ;;
  esac
  shift
done
((${#presets[@]})) || presets=(release)

say() { printf '== %s\n' "$*"; }
fail() {
  printf 'build.sh: %s\n' "$@" >&2
  exit 1
}

have_command() { command -v "$1" >/dev/null 2>&1; }
have_header() {
  have_command "$CXX" &&
    printf '#if !__has_include(<%s>)\n#error missing\n#endif\n' "$1" |
    "$CXX" -x c++ -std=c++17 -E - >/dev/null 2>&1
}
have_python() {
  python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}
have_python_headers() {
  python3 -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' \
    >/dev/null 2>&1
}
have_cmake() {
  have_command cmake && printf '3.25\n%s\n' "$(cmake --version | grep -om1 '[0-9][0-9.]*')" | sort -CV
}

# Sets `missing`, the apt packages without which the build cannot go on, and `welcome`, those that
# make it nicer. What is looked for is the thing itself, so any distribution's packages will do.
look_for_packages() {
  missing=()
  welcome=()
  have_command "$CXX" || missing+=("$(if [[ $CXX == clang++ ]]; then echo clang; else echo g++; fi)")
  have_cmake || missing+=(cmake)
  have_command ninja || missing+=(ninja-build)
  have_python || missing+=(python3 python3-venv)
  if [[ $with_python == yes ]]; then
    have_python_headers || missing+=(python3-dev)
  fi
  have_header CLI/CLI.hpp || missing+=(libcli11-dev)
  if [[ $with_tests == yes || "${presets[*]}" =~ (dev|asan|tsan) ]]; then
    have_header gtest/gtest.h || missing+=(libgtest-dev)
    have_header relacy/relacy.hpp || missing+=(relacy-dev)
    have_header pcre2.h || missing+=(libpcre2-dev)
  else # without it run_model runs fewer tokenizers
    have_header pcre2.h || welcome+=(libpcre2-dev)
  fi
  have_command ccache || welcome+=(ccache)
}

apt_get() {
  local as_root=()
  if ((EUID != 0)); then
    have_command sudo || return 1
    as_root=(sudo)
    [[ -t 0 ]] || as_root+=(-n)
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"
}

install_packages() {
  look_for_packages
  ((${#missing[@]})) || return 0
  local wanted="${missing[*]}"
  have_command apt-get ||
    fail "missing: $wanted (Debian's names; apt-get is not here, install their like)"
  say "installing $wanted"
  apt_get update || say "apt-get update failed; trying with the lists that are here"
  apt_get install -y --no-install-recommends "${missing[@]}" "${welcome[@]}" >/dev/null ||
    apt_get install -y --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "missing: $wanted" \
      "apt-get could not install them: it needs root (or sudo) and network. As root, run:" \
      "  apt-get update && apt-get install -y $wanted"
  look_for_packages
  ((${#missing[@]} == 0)) || fail "still missing after the installation: ${missing[*]}" \
    "wanted: CMake 3.25, Python 3.11, GCC 12 or newer (Debian 12, Ubuntu 24.04)"
}

# The stamp holds what is installed, so that a changed pin or Python is noticed and nothing else is.
install_environment() {
  local lists=(tools/requirements.txt) arguments=() list
  if [[ $with_tests == yes ]]; then lists+=(tools/requirements-dev.txt); fi
  if [[ $with_parity == yes ]]; then lists+=(tools/requirements-parity.txt); fi
  if ! .venv/bin/python -c 'import pip' >/dev/null 2>&1; then
    say "creating .venv"
    python3 -m venv --clear .venv
  fi
  for list in "${lists[@]}"; do
    local stamp=.venv/$(basename "$list")
    if ! { .venv/bin/python --version && cat "$list"; } | cmp -s - "$stamp"; then
      arguments+=(-r "$list")
    fi
  done
  ((${#arguments[@]})) || return 0
  say "installing into .venv: $(grep -hv '^#' "${lists[@]}" | tr '\n' ' ')"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "${arguments[@]}" ||
    fail "pip could not install the packages listed in ${lists[*]}" \
      "it needs network, or a mirror named by PIP_INDEX_URL, or wheels named by PIP_FIND_LINKS"
  for list in "${lists[@]}"; do
    { .venv/bin/python --version && cat "$list"; } >".venv/$(basename "$list")"
  done
}

# What the package is made of; the compiler is not asked, for pip builds in a folder of its own.
package_sources() {
  .venv/bin/python --version
  find CMakeLists.txt pyproject.toml cpp bindings python -type f ! -name '*.pyc' -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum
}

# A copy, not a link into the checkout: what is tested is what `pip install .` gives anybody. With
# ccache only the bindings are compiled, because the release preset has compiled the rest before, in
# a folder from which the sources have the same relative paths.
install_package() {
  [[ $with_python == yes ]] || return 0
  local stamp=.venv/cllm.sources sources
  sources=$(package_sources)
  if [[ -e $stamp && $sources == "$(<"$stamp")" ]]; then return 0; fi
  say "compiling the Python package and installing it into .venv: some minutes the first time"
  if have_command ccache; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
  rm -rf build/package # it names the environment that pip made for the build before
  CMAKE_BUILD_PARALLEL_LEVEL=$jobs \
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -C build-dir=build/package \
    -C "cmake.define.CLLM_WERROR=${CLLM_WERROR:-OFF}" . ||
    fail "pip could not build and install cllm, see above"
  printf '%s\n' "$sources" >"$stamp"
}

build_preset() {
  local preset=$1 tests=ON targets=() options=()
  if [[ $with_tests == no && $preset =~ ^(release|portable)$ ]]; then
    targets=(--target train_model run_model)
    have_header gtest/gtest.h || tests=OFF
  fi
  options=(-DCLLM_BUILD_TESTS="$tests" -DCLLM_WERROR="${CLLM_WERROR:-OFF}"
    -DCLLM_TEST_PCH="${CLLM_TEST_PCH:-OFF}")
  if have_command ccache; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  say "configuring build/$preset"
  cmake --preset "$preset" "${options[@]}" >"build/$preset.log" 2>&1 || {
    cat "build/$preset.log" >&2
    fail "CMake could not configure build/$preset"
  }
  say "building build/$preset"
  cmake --build "build/$preset" -j "$jobs" "${targets[@]}" || fail "build/$preset did not build"
}

install_packages
if [[ -z ${CLLM_VENV:-} ]]; then install_environment; fi
mkdir -p build
for preset in "${presets[@]}"; do
  build_preset "$preset"
done
if [[ -z ${CLLM_VENV:-} ]]; then install_package; fi
for preset in "${presets[@]}"; do
  for program in train_model run_model; do
    say "build/$preset/bin/$program"
  done
done
