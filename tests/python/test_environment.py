"""Settings for OpenMP, as clusters make them, change neither the speed nor the place of workers."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy")

OPENMP = {"OMP_PROC_BIND": "true", "OMP_NUM_THREADS": "1", "GOMP_CPU_AFFINITY": "0"}

# Prints how many workers there are, where each thread of the engine may run, and the best step.
PROGRAM = """
import ctypes, json, os, statistics, sys

def load_openmp():
    if sys.argv[3] == "torch":
        import torch
        torch.ones(64, 64) @ torch.ones(64, 64)
    else:
        ctypes.CDLL("libgomp.so.1").omp_get_max_threads()

def tasks():
    return set(os.listdir("/proc/self/task"))

def allowed(task):
    for line in open(f"/proc/self/task/{task}/status"):
        if line.startswith("Cpus_allowed_list"):
            return line.split()[1]

def measured(trainer, threads):
    steps = [trainer.step().ms for _ in range(40)]
    return {"workers": trainer.workers, "ms": statistics.median(steps),
            "active": sum(s.active for s in trainer.spheres()),
            "places": sorted({allowed(task) for task in threads})}

if sys.argv[2] == "first":
    load_openmp()
import numpy, cllm
before = tasks()
trainer = cllm.Trainer(cllm.TrainConfig(data=sys.argv[1], out="nowhere/run", layers=2, heads=4,
                                        dim=128, seq=64, batch=8))
trainer.resize(trainer.workers)  # one for every core, not the number that is fastest just now
results = [measured(trainer, tasks() - before)]
if sys.argv[2] == "later":
    load_openmp()
    before = tasks()
    results.append(measured(trainer, set()))
    trainer.resize(trainer.workers)  # new threads, made by a thread that is bound now
    results.append(measured(trainer, tasks() - before))
print(json.dumps(results))
"""


def run(text_file, order, library, environment, folder):
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(("OMP_", "GOMP_"))}
    result = subprocess.run([sys.executable, "-c", PROGRAM, text_file, order, library],
                            env=clean | environment, capture_output=True, text=True, timeout=300,
                            cwd=folder, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("library", ["libgomp", "torch"])
@pytest.mark.parametrize("order", ["first", "later"])
def test_openmp_settings_change_nothing(text_file, tmp_path, order, library):
    if library == "torch" and importlib.util.find_spec("torch") is None:
        pytest.skip("torch")
    for _ in range(8):  # a busy machine gets more chances for a quiet moment
        expected = run(text_file, order, library, {}, tmp_path)
        found = run(text_file, order, library, OPENMP, tmp_path)
        assert [{**part, "ms": 0} for part in found] == [{**part, "ms": 0} for part in expected]
        plain, bound = ([part["ms"] for part in parts] for parts in (expected, found))
        # On one core instead of two a step takes twice as long.
        if all(b < 1.4 * p for b, p in zip(bound, plain, strict=True)):
            return
    pytest.fail(f"median steps of {bound} ms with OpenMP's settings, {plain} ms without")


def test_a_mask_set_by_the_user_is_kept(text_file, tmp_path):
    """The smaller mask of taskset is no binding of OpenMP's and must not be widened."""
    cpu = max(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, [{cpu}])\n" + PROGRAM
    result = subprocess.run([sys.executable, "-c", program, text_file, "first", "libgomp"],
                            env=os.environ | OPENMP | {"GOMP_CPU_AFFINITY": str(cpu)},
                            capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)[0]["workers"] == 1
