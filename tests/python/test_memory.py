"""The memory that a run plans is what it takes, evaluation and saving included."""

import importlib.util

import pytest
from conftest import ROOT, TRAIN_MODEL


def load_check():
    """benchmarks/check_memory.py, which measures six shapes by hand and wants a tenth."""
    file = ROOT / "benchmarks/check_memory.py"
    spec = importlib.util.spec_from_file_location("check_memory", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("shape", ["short", "wide"])
def test_planned_memory_is_what_is_taken(tmp_path, shape):
    check = load_check()
    check.write_data(tmp_path, 40000)
    planned, taken = check.measure(str(TRAIN_MODEL), check.SHAPES[shape], tmp_path,
                                   "run")
    # Wider than by hand: pages and libraries differ from machine to machine.
    assert abs(planned / taken - 1) < 0.15, f"planned {planned} MiB, taken {taken} MiB"
