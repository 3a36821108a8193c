"""Standard streams that are closed, full, or read by nobody: a run neither ends nor stops by them.
"""

import fcntl
import json
import os
import resource
import subprocess
import sys

import pytest
from conftest import TRAIN_MODEL, needs

DONE, FAILED, BAD_INPUT = 0, 1, 2
SECONDS = 60
SMALL = ["--layers", "1", "--heads", "2", "--dim", "16", "--seq", "16", "--batch", "4",
         "--steps", "300", "--eval-every", "0", "--save-every", "100", "--log-every", "1",
         "--spheres-every", "50"]
PROGRAMS = {"train_model": [TRAIN_MODEL], "cllm": [sys.executable, "-m", "cllm", "train"]}


@pytest.fixture(params=[pytest.param(name, marks=needs("cllm", "numpy", "typer", "rich")
                                     if name == "cllm" else []) for name in PROGRAMS])
def program(request):
    return PROGRAMS[request.param]


def words(program, text_file):
    return [*program, "--data", text_file, "--out", "run", *SMALL]


def assert_whole(folder):
    """Every line of every file is ours, every step is there."""
    for name in ("metrics", "spheres", "groups"):
        lines = [json.loads(line) for line in (folder / f"run/{name}.jsonl").open()]
        assert all("step" in line for line in lines)
        if name == "metrics":
            assert [line["step"] for line in lines] == list(range(1, 301))
    assert (folder / "run/final/model.safetensors").exists()


@pytest.mark.parametrize("closed", [(2,), (1, 2), (0, 1, 2)])
def test_closed_descriptors_are_not_written_into_files(program, tmp_path, text_file, closed):
    def close():
        for fd in closed:
            os.close(fd)

    process = subprocess.run(words(program, text_file), cwd=tmp_path, preexec_fn=close,
                             timeout=SECONDS, check=False)
    assert process.returncode == DONE
    assert_whole(tmp_path)


def test_a_reader_that_goes_away_does_not_end_the_run(program, tmp_path, text_file):
    process = subprocess.Popen(words(program, text_file), cwd=tmp_path, stderr=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    process.stderr.read(10)
    process.stderr.close()
    process.stdout.close()
    assert process.wait(timeout=SECONDS) == DONE
    assert_whole(tmp_path)


def test_a_pipe_that_nobody_reads_does_not_stop_the_run(program, tmp_path, text_file):
    ours, theirs = os.pipe()
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 4096)
    process = subprocess.Popen(words(program, text_file), cwd=tmp_path, stderr=theirs)
    assert process.wait(timeout=SECONDS) == DONE
    assert not fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK, "others share this description"
    os.close(theirs)
    assert_whole(tmp_path)
    with os.fdopen(ours, "rb") as pipe:
        assert b"model " in pipe.read(), "what fits is written"


def test_a_slow_reader_gets_whole_lines(tmp_path, text_file):
    ours, theirs = os.pipe()
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 4096)
    with subprocess.Popen(words(PROGRAMS["train_model"], text_file), cwd=tmp_path,
                          stderr=theirs) as process:
        os.close(theirs)
        with os.fdopen(ours, "rb", buffering=0) as pipe:
            said = b""
            while piece := pipe.read(64):
                said += piece
        assert process.wait(timeout=SECONDS) == DONE
    lines = said.decode().splitlines()
    steps = [line for line in lines if "/300 " in line]
    assert len(steps) == 300, "the lines wait for their reader"
    assert all("loss" in line and "ETA" in line for line in steps)
    assert lines[-2] == "model   run/final"
    assert lines[-1] == f"sample  {TRAIN_MODEL.parent / 'run_model'} --model run"


def test_errors_do_not_wait_for_a_reader(program, tmp_path):
    ours, theirs = os.pipe()
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 4096)
    os.write(theirs, b"x" * 4096)
    process = subprocess.Popen([*program, "--data", "nowhere", "--out", "run"], cwd=tmp_path,
                               stderr=theirs)
    assert process.wait(timeout=SECONDS) == BAD_INPUT
    os.close(ours)
    os.close(theirs)


def test_a_file_that_grows_too_large_is_an_error_of_the_write(program, tmp_path, text_file):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    process = subprocess.run(words(program, text_file), cwd=tmp_path, preexec_fn=limit, text=True,
                             stderr=subprocess.PIPE, timeout=SECONDS, check=False)
    assert process.returncode == FAILED, process.stderr
    assert "too large" in process.stderr.splitlines()[-1].lower()
