#!/usr/bin/env bash
# Compares predicted with measured times of steps at six shapes: see check_prediction.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec .venv/bin/python benchmarks/check_prediction.py "$@"
