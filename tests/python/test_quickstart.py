"""tools/quickstart.sh: a second run, damaged text and tokens, stopping and going on, wrong input.

It runs in the checkout, on a folder of its own for text and runs (CLLM_QUICKSTART), with the
environment of these tests as it is (CLLM_VENV): nothing is installed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, contents

SCRIPT = ["bash", "tools/quickstart.sh"]
SECONDS = 300  # of patience; a hang is a failure
STOPPED = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the runs go. The text is taken from the checkout when an earlier run has left it."""
    place = tmp_path_factory.mktemp("quickstart")
    kept = ROOT / "quickstart/shakespeare.txt"
    if kept.is_file():
        shutil.copy(kept, place)
    return place


def start(command, folder, **variables):
    return subprocess.Popen(command, cwd=ROOT, text=True, errors="replace", start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env={**os.environ, "CLLM_QUICKSTART": str(folder),
                                 "CLLM_VENV": sys.prefix, **variables})


def finish(process):
    try:
        said, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        pytest.fail(f"{process.args} did not end within {SECONDS} s; it said:\n{said}")
    return process.returncode, said


def steps_done(run):
    """The last step that metrics.jsonl tells of, 0 while there is none."""
    file = run / "metrics.jsonl"
    lines = file.read_text().split("\n")[:-1] if file.is_file() else []
    return max((json.loads(line)["step"] for line in lines), default=0)


def next_run(folder):
    number = 1
    while (folder / f"run-{number}").exists():
        number += 1
    return folder / f"run-{number}"


def interrupt_after(step, process, run):
    """Ctrl-C once the run is past the step: the terminal sends it to every process of the group."""
    end = time.monotonic() + SECONDS
    while steps_done(run) < step and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    return finish(process)


def test_a_second_run_makes_a_second_model_and_mends_the_text(folder):
    text = folder / "shakespeare.txt"
    code, said = finish(start(SCRIPT, folder, CLLM_STEPS="3"))
    assert code == 0, said
    good = text.read_bytes()
    assert len(good) > 5_000_000
    tokens = contents(folder / "tokens")
    assert json.loads(tokens["dataset.json"])["tokenizer"]["vocabulary"] == 2048
    text.write_bytes(good.replace(b"Hamlet", b"Omelet", 1))
    damaged = bytearray(tokens["train-00000.bin"])
    damaged[9999] ^= 1
    (folder / "tokens/train-00000.bin").write_bytes(damaged)
    code, again = finish(start(SCRIPT, folder, CLLM_STEPS="3"))
    assert code == 0, again
    assert text.read_bytes() == good and contents(folder / "tokens") == tokens
    for number, page in ((1, said), (2, again)):
        assert f"{folder}/run-{number}/final" in page
        assert (folder / f"run-{number}/final/model.safetensors").is_file()
        assert steps_done(folder / f"run-{number}") == 3
    models = [(folder / f"run-{number}/final/model.safetensors").read_bytes() for number in (1, 2)]
    assert models[0] == models[1]
    assert "KING HENRY." in said.rpartition("== a sample")[2]


def test_an_environment_that_is_given_stays_as_it_is(tmp_path):
    """It has no package and no pip; without CLLM_VENV both would be installed."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(sys.executable)
    code, said = finish(start(["bash", "tools/build.sh", "--python"], tmp_path,
                              CLLM_VENV=str(tmp_path)))
    assert code == 0, said
    assert "installing" not in said
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["bin", "python"]


def test_ctrl_c_leaves_a_run_that_goes_on(folder):
    run = next_run(folder)
    code, said = interrupt_after(5, start(SCRIPT, folder, CLLM_STEPS="100000"), run)
    assert code == STOPPED, said
    resume = rf"^ +(\S+/train_model --resume {re.escape(str(run))})$"
    command = re.search(resume, said, re.MULTILINE)
    assert command, said
    stopped_at = steps_done(run)
    assert stopped_at >= 5
    code, said = interrupt_after(stopped_at + 5, start(command[1].split(), folder), run)
    assert code == STOPPED, said
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()
             if "loss" in json.loads(line)]
    assert steps == list(range(1, steps_done(run) + 1))
    assert steps[-1] >= stopped_at + 5


def test_when_time_is_over_the_model_so_far_writes(folder):
    run = next_run(folder)
    made = (folder / "tokens").stat().st_mtime_ns
    code, said = finish(start(SCRIPT, folder, CLLM_STEPS="100000", CLLM_SECONDS="3"))
    assert code == 0, said
    assert f"train_model --resume {run}\n" in said
    assert f"{run}/checkpoints/latest (" in said
    assert (run / "checkpoints/latest/model.safetensors").is_file()
    assert not (run / "final").exists()
    assert (folder / "tokens").stat().st_mtime_ns == made, "what is there is used"


@pytest.mark.parametrize("name", ["CLLM_STEPS", "CLLM_SECONDS"])
@pytest.mark.parametrize("value", ["0", "-3", "many", "1e3", "9999999999"])
def test_a_wrong_number_is_refused_at_once(name, value, tmp_path):
    code, said = finish(start(SCRIPT, tmp_path, **{name: value}))
    assert code == 2
    assert f"{name} is '{value}'" in said
    assert not list(tmp_path.iterdir())


def test_an_unknown_argument_is_refused_at_once(tmp_path):
    code, said = finish(start([*SCRIPT, "--fast"], tmp_path))
    assert code == 2
    assert "'--fast'" in said
    assert not list(tmp_path.iterdir())
