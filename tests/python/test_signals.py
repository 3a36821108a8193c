"""Signals to train_model, to `cllm train` and to a script: what is asked for, saved and returned.
"""

import signal
import subprocess
import sys
import time

import pytest
from conftest import TRAIN_MODEL, needs

STOPPED, INTERRUPTED = 3, 130
SECONDS = 120  # of patience with one process
SMALL = ["--layers", "2", "--heads", "2", "--dim", "32", "--seq", "32", "--batch", "4",
         "--steps", "100000", "--eval-every", "0", "--save-every", "0", "--workers", "2"]
PROGRAMS = {"train_model": [TRAIN_MODEL], "cllm": [sys.executable, "-m", "cllm", "train"]}


@pytest.fixture(params=[pytest.param(name, marks=needs("cllm", "numpy", "typer", "rich")
                                     if name == "cllm" else []) for name in PROGRAMS])
def program(request):
    return PROGRAMS[request.param]


def start(program, folder, text_file, *words, **how):
    return subprocess.Popen([*program, "--data", text_file, "--out", "run", *SMALL, *words],
                            cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            text=True, **how)


def wait_until(process, condition):
    until = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "nothing happened within the time"
        time.sleep(0.005)


def wait_for_steps(process, folder, count=3):
    metrics = folder / "run/metrics.jsonl"
    wait_until(process, lambda: metrics.exists() and metrics.read_bytes().count(b"\n") >= count)


def finish(process):
    try:
        _, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"{process.args} did not end within {SECONDS} s")
    return process.returncode, err


def saved(folder):
    return sorted(path.name for path in (folder / "run/checkpoints").glob("step-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU])
def test_a_stop_is_saved_within_the_bound_that_the_readme_names(program, tmp_path, text_file,
                                                                number):
    process = start(program, tmp_path, text_file)
    wait_for_steps(process, tmp_path)
    asked = time.monotonic()
    process.send_signal(number)
    code, err = finish(process)
    assert code == STOPPED, err
    assert time.monotonic() - asked < 5, "a step takes milliseconds here"
    assert len(saved(tmp_path)) == 1
    assert "stopping and saving" in err and "--resume run" in err
    assert err.count("stopped after step") == 1 and "TrainConfig" not in err


def test_a_long_step_is_given_up(tmp_path, text_file):
    """Its end is more than ten seconds away; the state before it is saved."""
    process = start(PROGRAMS["train_model"], tmp_path, text_file, "--grad-accum", "20000")
    wait_until(process, lambda: (tmp_path / "run/metrics.jsonl").exists())
    time.sleep(1)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, err = finish(process)
    assert code == STOPPED, err
    assert time.monotonic() - asked < 5
    assert saved(tmp_path) == ["step-00000000"]
    assert (tmp_path / "run/metrics.jsonl").read_bytes() == b""


@pytest.mark.parametrize("pause", [0, 0.25])
def test_one_request_delivered_twice_saves(program, tmp_path, text_file, pause):
    process = start(program, tmp_path, text_file)
    wait_for_steps(process, tmp_path)
    process.send_signal(signal.SIGINT)
    for _ in range(3):
        time.sleep(pause / 3)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    code, err = finish(process)
    assert code == STOPPED, err
    assert len(saved(tmp_path)) == 1


def test_signals_until_the_very_end_change_nothing(program, tmp_path, text_file):
    """The exit code tells what was saved, also when signals arrive while the process ends."""
    process = start(program, tmp_path, text_file, stdout=subprocess.DEVNULL)
    wait_for_steps(process, tmp_path)
    until = time.monotonic() + SECONDS
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP]
    while process.poll() is None and time.monotonic() < until:
        for number in numbers:
            process.send_signal(number)
        time.sleep(0.001)
    code, err = finish(process)
    assert code == STOPPED, err
    assert saved(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_was_ignored_at_the_start_stays_ignored(program, tmp_path, text_file, number):
    def ignore():
        signal.signal(number, signal.SIG_IGN)

    process = start(program, tmp_path, text_file, preexec_fn=ignore)
    wait_for_steps(process, tmp_path)
    process.send_signal(number)
    wait_for_steps(process, tmp_path, 200)
    assert process.poll() is None and saved(tmp_path) == []
    process.send_signal(signal.SIGTERM)
    code, err = finish(process)
    assert code == STOPPED, err


def test_sigusr1_saves_and_goes_on(program, tmp_path, text_file):
    process = start(program, tmp_path, text_file)
    wait_for_steps(process, tmp_path)
    process.send_signal(signal.SIGUSR1)
    wait_until(process, lambda: (tmp_path / "run/checkpoints/latest").exists())
    first = saved(tmp_path)
    steps = (tmp_path / "run/metrics.jsonl").read_bytes().count(b"\n")
    wait_for_steps(process, tmp_path, steps + 20)
    process.send_signal(signal.SIGTERM)
    code, err = finish(process)
    assert code == STOPPED, err
    assert len(first) == 1 and saved(tmp_path)[0] == first[0] and len(saved(tmp_path)) == 2


SCRIPT = """
import signal, sys
import cllm

def main(handler):
    if handler == "own":
        signal.signal(signal.SIGINT, lambda number, frame: print("mine", flush=True))
    config = cllm.TrainConfig(data=sys.argv[1], out="run", layers=2, heads=2, dim=32, seq=32,
                              batch=4, steps=3000, eval_every=0, save_every=0, workers=2)
    trainer = cllm.Trainer(config)
    try:
        print(trainer.run().name)
    except KeyboardInterrupt:
        print("interrupted", trainer.steps_done < 3000, flush=True)
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)
    if handler == "default":
        signal.raise_signal(signal.SIGINT)  # Python's own handler is back

main(sys.argv[2])
"""


@needs("cllm", "numpy")
@pytest.mark.parametrize("handler, said", [("default", "interrupted True\nTrue\n"),
                                           ("own", "mine\nFINISHED\nFalse\n")])
def test_a_script_gets_its_interrupt_after_the_save(tmp_path, text_file, handler, said):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, text_file, handler], cwd=tmp_path,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_steps(process, tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    assert out == said, err
    if handler == "default":
        assert len(saved(tmp_path)) == 1
        assert "KeyboardInterrupt" in err and process.returncode == -signal.SIGINT


@needs("cllm", "numpy", "typer", "rich")
@pytest.mark.parametrize("words", [["verify", "--steps", "100000", "--workers", "1"],
                                   ["bench", "A", "--steps", "1000000", "--json"]])
def test_interrupted_commands_end_with_one_line(tmp_path, words):
    process = subprocess.Popen([sys.executable, "-m", "cllm", *words], cwd=tmp_path, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(5)  # a busy machine takes that long to import
    process.send_signal(signal.SIGINT)
    code, err = finish(process)
    assert code == INTERRUPTED and err.endswith("cllm: interrupted\n"), err
    assert "Traceback" not in err and "Aborted" not in err
