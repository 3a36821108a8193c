"""The memory that a run plans is what it takes, evaluation and saving included."""

import subprocess
import sys

import pytest
from conftest import ROOT, TRAIN_MODEL

# In a process of its own: what a child took at most counts the memory of whoever started it, and
# this one has PyTorch in it.
MEASURE = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import check_memory
folder = pathlib.Path.cwd()
check_memory.write_data(folder, 40000)
print(*check_memory.measure(sys.argv[2], check_memory.SHAPES[sys.argv[3]], folder, "run"))
"""


@pytest.mark.parametrize("shape", ["short", "wide"])
def test_planned_memory_is_what_is_taken(tmp_path, shape):
    """benchmarks/check_memory.py measures six shapes by hand and wants a tenth."""
    done = subprocess.run([sys.executable, "-c", MEASURE, ROOT / "benchmarks", TRAIN_MODEL, shape],
                          cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    planned, taken = map(float, done.stdout.split())
    # Wider than by hand: pages and libraries differ from machine to machine.
    assert abs(planned / taken - 1) < 0.15, f"planned {planned} MiB, taken {taken} MiB"
