"""train_model as a program: every bad input is one clear error that leaves no trace, a stopped run
goes on as if it had not been stopped.
"""

import fcntl
import hashlib
import json
import math
import os
import pty
import random
import re
import signal
import struct
import subprocess
import termios
import time
import tomllib
from pathlib import Path

import pytest
from conftest import RUN_MODEL, TRAIN_MODEL

DONE, BAD_INPUT, STOPPED = 0, 2, 3
SECONDS = 120  # of patience with one process; a hang is a failure


@pytest.fixture(scope="session", autouse=True)
def program_is_built():
    assert TRAIN_MODEL.is_file(), f"{TRAIN_MODEL} is missing: run tools/build.sh"


def start(arguments, folder):
    return subprocess.Popen([TRAIN_MODEL, *map(str, arguments)], cwd=folder, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def finish(process):
    """Exit code, stdout, stderr of a process that is given SECONDS to end."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"{process.args} did not end within {SECONDS} s; it said:\n{err}")
    return process.returncode, out, err


def train(folder, *arguments):
    return finish(start(arguments, folder))


def listing(folder):
    """Everything below a folder: names, kinds, contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
        content = hashlib.sha256(path.read_bytes()).hexdigest() if kind == "file" else ""
        found[path.relative_to(folder).as_posix()] = (kind, content)
    return found


# -- bad input ----------------------------------------------------------------------------------

@pytest.fixture
def place(tmp_path):
    """A folder with every kind of input; errors must leave it as it is."""
    (tmp_path / "text.txt").write_text("To be, or not to be, that is the question.\n" * 40)
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "tokens.bin").write_bytes(bytes(range(0, 200, 2)) * 20)
    (tmp_path / "used").mkdir()
    (tmp_path / "used/notes.txt").write_text("mine\n")
    (tmp_path / "config_key.toml").write_text("batch = 4\nwarmpu = 10\n")
    (tmp_path / "config_value.toml").write_text("# mine\n\nlr = nan\n")
    (tmp_path / "config_table.toml").write_text("[model]\nlayers = 2\n")
    return tmp_path


GOOD = {"--data": "text.txt", "--out": "run"}


def arguments_of(changes):
    """GOOD with options changed, added, or (None) taken away; True stands for a flag."""
    words = []
    for name, value in {**GOOD, **changes}.items():
        if value is not None:
            words += [name] if value is True else [name, value]
    return words


# Each: a name, changes to GOOD, what the one message must hold: where, value seen, value wanted.
BAD = [
    ("empty_data", {"--data": "empty.txt"}, ["empty.txt", "empty", "0 bytes"]),
    ("missing_data", {"--data": "nowhere.txt"}, ["nowhere.txt", "no such file"]),
    ("folder_data", {"--data": "folder"}, ["folder"]),
    ("headerless_bin", {"--data": "tokens.bin"}, ["tokens.bin", "--vocab"]),
    ("token_above_vocab", {"--data": "tokens.bin", "--vocab": "5"}, ["tokens.bin", "vocab"]),
    ("missing_val", {"--val": "nowhere.txt"}, ["nowhere.txt", "no such file"]),
    ("no_data", {"--data": None}, ["--data", "text, token files"]),
    ("no_out", {"--out": None}, ["--out", "folder"]),
    ("heads", {"--heads": "5"}, ["--heads", "got 5", "4 or 8", "128"]),
    ("too_long_seq", {"--seq": "100000"}, ["--seq", "100000"]),
    ("out_used", {"--out": "used"}, ["--out", "used", "empty folder"]),
    ("out_is_file", {"--out": "text.txt"}, ["--out", "text.txt"]),
    ("out_below_file", {"--out": "text.txt/run"}, ["--out", "text.txt"]),
    ("out_unwritable", {"--out": "/proc/run"}, ["--out", "/proc"]),
    ("zero_workers", {"--workers": "0"}, ["--workers", '"0"', "at least 1|from 1"]),
    ("negative_workers", {"--workers": "-2"}, ["--workers", '"-2"', "auto"]),
    ("workers_and_threads", {"--workers": "2", "--threads": "4"}, ["--threads", "2 and 4"]),
    ("nan_lr", {"--lr": "nan"}, ["--lr", '"nan"', "number"]),
    ("negative_lr", {"--lr": "-0.001"}, ["--lr", '"-0.001"', "from 0"]),
    ("infinite_lr", {"--lr": "inf"}, ["--lr", '"inf"', "number"]),
    ("overflowing_lr", {"--lr": "1e999"}, ["--lr", '"1e999"']),
    ("junk_after_number", {"--batch": "12x"}, ["--batch", '"12x"', "integer"]),
    ("overflowing_steps", {"--steps": "99999999999999999999"}, ["--steps", "integer"]),
    ("nan_min_lr", {"--min-lr": "nan"}, ["--min-lr", '"nan"']),
    ("min_lr_above_lr", {"--min-lr": "0.5"}, ["--min-lr", "0.5", "0.001"]),
    ("negative_decay", {"--weight-decay": "-0.1"}, ["--weight-decay", '"-0.1"']),
    ("negative_dropout", {"--dropout": "-0.1"}, ["--dropout", '"-0.1"', "at least 0"]),
    ("dropout_of_all", {"--dropout": "1"}, ["--dropout", '"1"', "below 1"]),
    ("nan_dropout", {"--dropout": "nan"}, ["--dropout", '"nan"', "number"]),
    ("beta_one", {"--beta2": "1"}, ["--beta2", '"1"', "below 1"]),
    ("zero_batch", {"--batch": "0"}, ["--batch", '"0"', "from 1"]),
    ("symmetry_none", {"--symmetry": "0"}, ["--symmetry", '"0"', "from 1"]),
    ("positions", {"--positions": "13", "--batch": "64"}, ["--positions", "13", "12"]),
    ("routing", {"--routing": "simetry"}, ["--routing", '"simetry"', 'mean "symmetry"']),
    ("schedule", {"--schedule": "cosin"}, ["--schedule", '"cosin"', "cosine, linear"]),
    ("steps_and_epochs", {"--steps": "5", "--epochs": "1"}, ["--epochs"]),
    ("unknown_flag", {"--bacth": "4"}, ["--bacth", "did you mean --batch"]),
    ("unknown_flag_of_others", {"--torch_dtype": "x"},
     ["--torch-dtype", "bfloat16 is --precision bf16"]),
    ("unknown_flags", {"--bacth": "4", "--init_from": "resume", "--compile=False": True,
                       "--bacth=5": True},
     ["unknown options: got --bacth (did you mean --batch?), --init-from (", "--resume RUN",
      "--compile (its kernels are compiled"]),
    ("steps_without_end", {"--max_steps": "-1"}, ["--max-steps", "--epochs N"]),
    ("patience_without_evaluations", {"--patience": "2", "--eval-every": "0"},
     ["--patience: nothing is evaluated: got --eval-every 0"]),
    ("model_of_the_hub", {"--init": "gpt2"}, ["gpt2", 'save_pretrained("FOLDER")']),
    ("nothing_near", {"--frobnicate": "1"}, ["unknown option: got --frobnicate (see --help)"]),
    ("not_done_here", {"--fp16": True}, ["--fp16", "--precision bf16"]),
    ("alias_with_a_bad_value", {"--learning_rate": "nan"}, ["--learning-rate: not a number"]),
    ("alias_in_a_contradiction", {"--n-head": "5"}, ["--n-head: heads do not", "got 5", "4 or 8"]),
    ("alias_and_name", {"--lr": "1", "--learning-rate": "1"},
     ["--lr and --learning-rate: two names of one option"]),
    ("two_aliases", {"--max-steps": "1", "--max_iters": "1"}, ["--max-steps and --max-iters: two"]),
    ("bf16_and_precision", {"--bf16": True, "--precision": "fp32"}, ["--bf16", "--precision"]),
    ("missing_value", {"--batch": True}, ["--batch"]),
    ("stray_value", {"text.txt": True}, ['"text.txt"', "--OPTION VALUE"]),
    ("unknown_key", {"--config": "config_key.toml"},
     ["config_key.toml:2", '"warmpu"', 'did you mean "warmup"']),
    ("bad_config_value", {"--config": "config_value.toml"},
     ["config_value.toml:3", "lr", '"nan"', "number"]),
    ("config_table", {"--config": "config_table.toml"}, ["config_table.toml:1", "key = value"]),
    ("missing_config", {"--config": "nowhere.toml"}, ["nowhere.toml", "no such file"]),
    ("resume_of_nothing", {"--data": None, "--out": None, "--resume": "nowhere"},
     ["--resume: no such folder: got nowhere"]),
    ("resume_of_a_folder", {"--data": None, "--out": None, "--resume": "folder"},
     ["--resume", "folder", "config.toml"]),
    ("init_of_nothing", {"--init": "folder"}, ["folder"]),
]


@pytest.mark.parametrize("changes, parts", [case[1:] for case in BAD], ids=[c[0] for c in BAD])
def test_bad_input_is_one_error_and_leaves_no_trace(place, changes, parts):
    before = listing(place)
    code, out, err = train(place, *arguments_of(changes))
    assert code == BAD_INPUT, err
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("train_model: "), err
    for part in parts:
        assert any(choice in err for choice in part.split("|")), f"no {part!r} in: {err}"
    assert listing(place) == before


def test_the_same_arguments_without_the_fault_train(place):
    """Keeps the cases above honest: GOOD itself is good."""
    code, _, err = train(place, *arguments_of({"--steps": "2", "--quiet": True}))
    assert code == DONE, err
    assert err == "", "--quiet prints nothing but errors"


def test_an_option_given_twice_is_an_error(place):
    code, _, err = train(place, *arguments_of({}), "--lr", "1", "--lr", "2")
    assert code == BAD_INPUT and "--lr: given twice" in err


@pytest.mark.parametrize("words, said", [
    (["--tokens", "1", "--tokens", "2"], "--tokens: given twice: expected once"),
    (["--tokens=1", "--max_new_tokens", "2"],
     "--tokens and --max-new-tokens: two names of one option are given: expected one of them"),
    (["--p", "1", "--prompt", "--p", "--top-p", "0.5"], "--p: given twice: expected once"),
    (["--prompt=--tokens 3 --tokens 4", "--seed=1", "--", "--seed"], None),
])
def test_an_option_of_run_model_given_twice_is_an_error(place, words, said):
    command = [RUN_MODEL, "--model", "nowhere", *words]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == BAD_INPUT
    assert said is None or done.stderr == f"run_model: {said}\n"
    assert said is not None or "twice" not in done.stderr


def test_two_files_of_settings_are_an_error(place):
    code, _, err = train(place, *arguments_of({}), "--config", "a", "--config=b")
    assert code == BAD_INPUT and err == "train_model: --config: given twice: expected once\n"


def test_names_of_other_programs_train(place):
    words = {"--output_dir": "run", "--out": None, "--max-iters": "2", "--n_layer": "1",
             "--n-head": "2", "--n_embd": "16", "--block_size": "16", "--batch_size": "2",
             "--learning_rate": "0.01", "--eval-interval": "0", "--bf16": True, "--quiet": True}
    code, _, err = train(place, *arguments_of(words))
    assert code == DONE, err
    config = tomllib.loads((place / "run/config.toml").read_text())
    assert config["lr"] == 0.01 and config["precision"] == "bf16" and config["layers"] == 1
    assert "learning_rate" not in config and "bf16" not in config
    (place / "mine.toml").write_text("n_layer = 1\nmax_steps = 2\nbatch_size = 3\n")
    code, _, err = train(place, "--config", "mine.toml", "--data", "text.txt", "--out", "other",
                         "--batch", "2", "--quiet")
    assert code == DONE, err
    assert tomllib.loads((place / "other/config.toml").read_text())["batch"] == 2


@pytest.mark.parametrize("program", [TRAIN_MODEL, RUN_MODEL], ids=["train_model", "run_model"])
@pytest.mark.parametrize("columns", [40, 60, 96, 200])
def test_help_fits_the_terminal(program, columns):
    said = {}
    for word in ("-h", "--help"):
        process = subprocess.run([program, word], text=True, capture_output=True, timeout=SECONDS,
                                 env={**os.environ, "COLUMNS": str(columns)})
        assert process.returncode == DONE and process.stderr == ""
        said[word] = process.stdout
    assert said["-h"] == said["--help"]
    assert max(map(len, said["-h"].splitlines())) <= min(columns, 120)
    words = " ".join(said["-h"].split())
    if program == TRAIN_MODEL:
        for part in ("--on-divergence NAME", "--gradient-accumulation-steps", "--data PATH",
                     "cosine, linear, constant or wsd", "also --learning-rate", "[auto]"):
            assert part in words
    else:
        assert "--temperature N 0 is greedy, higher is more varied [0.8]" in words


def test_help_is_as_wide_as_the_terminal():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen([RUN_MODEL, "--help"], stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while piece := read_or_nothing(ours):
            shown += piece
        assert process.wait(timeout=SECONDS) == DONE
    os.close(ours)
    assert 40 < max(len(line.rstrip()) for line in shown.decode().splitlines()) <= 50


def read_or_nothing(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that nobody writes any more
        return b""


@pytest.mark.parametrize("program", [TRAIN_MODEL, RUN_MODEL], ids=["train_model", "run_model"])
def test_a_reader_of_the_help_may_leave(program):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run([program, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True,
                             timeout=SECONDS)
    os.close(writer)
    assert process.stderr == "" and process.returncode == 1
    with open("/dev/full", "w") as full:
        process = subprocess.run([program, "--help"], stdout=full, stderr=subprocess.PIPE,
                                 text=True, timeout=SECONDS)
    assert process.returncode == 1 and "standard output: cannot be written" in process.stderr


def test_run_model_answers_bad_usage_in_one_line(tmp_path):
    for words, parts in [
        ([], ["--model", "no model to run"]),
        (["--model", "x", "--temprature", "1"], ["--temprature", "did you mean --temperature?"]),
        (["--model", "x", "--frobnicate"], ["--frobnicate", "see --help"]),
        (["--model", "x", "stray"], ["a value without an option", "stray"]),
        (["--out_dir=x", "--num_samples=3", "--device=cpu"],
         ["unknown options: got --num-samples (", "--seed", "), --device ("]),
        (["--model", "x", "--start=FILE:/dev/null"], ["--prompt: a prompt is not read"]),
        (["--model", "x", "--tokens", "many"], ["--tokens", "many"]),
        (["--model", "x", "--top-p", "2"], ["--top-p: value out of range"]),
    ]:
        process = subprocess.run([RUN_MODEL, *words], cwd=tmp_path, text=True, capture_output=True,
                                 timeout=SECONDS)
        assert process.returncode == BAD_INPUT and process.stdout == ""
        lines = process.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("run_model: "), process.stderr
        assert all(part in lines[0] for part in parts), lines


def test_run_model_takes_names_of_other_programs(place):
    code, _, err = train(place, *arguments_of({"--steps": "1", "--quiet": True}))
    assert code == DONE, err
    said = [subprocess.run([RUN_MODEL, *words], cwd=place, capture_output=True, timeout=SECONDS,
                           check=True).stdout
            for words in (["--model", "run", "--prompt", "To be", "--tokens", "9"],
                          ["--out_dir=run", "--start=To be", "--max_new_tokens=9"],
                          ["--model-name-or-path", "run", "--start", "To be", "--length", "9"])]
    assert said[0].startswith(b"To be") and said[1] == said[2] == said[0]


def test_help_and_version_say_what_there_is(place):
    before = listing(place)
    code, out, err = train(place, "--help")
    assert code == DONE and err == ""
    for option in ["--data PATH", "--out RUN", "--config", "--workers", "--no-bias", "--resume"]:
        assert option in out
    for program in (TRAIN_MODEL, RUN_MODEL):
        process = subprocess.run([program, "--version"], text=True, capture_output=True,
                                 timeout=SECONDS)
        assert process.returncode == DONE and process.stderr == ""
        assert re.fullmatch(program.name + r" \d+\.\d+\.\d+\n", process.stdout)
    assert listing(place) == before


# -- good input ---------------------------------------------------------------------------------

def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def steps_of(run):
    return [line["step"] for line in read_lines(run / "metrics.jsonl") if "loss" in line]


def weights_hash(run):
    return hashlib.sha256((run / "final/model.safetensors").read_bytes()).hexdigest()


def test_a_run_ends_early_and_goes_on(place):
    small = {"--layers": "1", "--heads": "1", "--dim": "8", "--seq": "8", "--lr": "0"}
    code, _, err = train(place, *arguments_of({**small, "--max_iters": "40", "--eval_interval": "2",
                                               "--early_stopping_patience": "2"}))
    assert code == DONE, err
    assert "step 6: the run ends early, after 2 evaluations without a lower validation loss" in err
    assert "--patience 2; with 0 it goes on" in err
    assert "saved run/checkpoints/step-" in err and "saved run/final\n" in err
    assert "sample  " in err and steps_of(place / "run") == [1, 2, 3, 4, 5, 6]
    code, _, err = train(place, "--resume", "run", "--patience", "0", "--steps", "8")
    assert code == DONE and steps_of(place / "run")[-1] == 8, err
    code, _, err = train(place, "--resume", "run")
    assert code == DONE and "all 8 steps are made; with --steps N the run goes on" in err
    assert "\nsave " not in err


def test_a_table_is_read_as_text_with_a_note(place):
    (place / "table.csv").write_text("id,text\n" + "1,To be or not to be\n" * 40)
    code, _, err = train(place, *arguments_of({"--data": "table.csv", "--steps": "1"}))
    assert code == DONE and err.count("table.csv is trained on as plain text") == 1, err


def test_a_flag_may_say_true_or_false(place):
    code, _, err = train(place, *arguments_of({"--steps": "1", "--bf16=False": True,
                                               "--keep_best=true": True, "--quiet=true": True}))
    assert code == DONE and err == "", err
    config = tomllib.loads((place / "run/config.toml").read_text())
    assert config["precision"] == "fp32" and config["keep_best"] is True


def test_one_line_of_text_trains(tmp_path):
    (tmp_path / "line.txt").write_text("One line of text trains.\n")
    code, _, err = train(tmp_path, "--data", "line.txt", "--out", "run", "--steps", "5")
    assert code == DONE, err
    assert "ETA" in err, "progress comes from the first second"
    run = tmp_path / "run"
    assert steps_of(run) == [1, 2, 3, 4, 5]
    losses = [line["loss"] for line in read_lines(run / "metrics.jsonl") if "loss" in line]
    assert all(math.isfinite(loss) for loss in losses)
    # The first loss is that of a guess among 257 tokens; training on one line lowers it.
    assert abs(losses[0] - math.log(257)) < 0.5 and losses[-1] < losses[0]
    assert (run / "final/model.safetensors").is_file()
    spheres = read_lines(run / "spheres.jsonl")
    assert any("worker" in line["role"] for line in spheres)


ADVERSARIES = {"one token": b"a" * 3000, "one group": bytes(range(1, 250, 12)) * 120,
               "sorted": b"".join(bytes([b]) * 12 for b in range(250))}


@pytest.mark.parametrize("routing", ["symmetry", "round_robin"])
@pytest.mark.parametrize("data", ADVERSARIES)
@pytest.mark.parametrize("batch, positions", [(24, 12), (3, 3), (2, 0)])
def test_no_data_starves_a_worker(tmp_path, data, routing, batch, positions):
    (tmp_path / "data.txt").write_bytes(ADVERSARIES[data])
    code, _, err = train(tmp_path, "--data", "data.txt", "--out", "run", "--steps", "30",
                         "--layers", "1", "--heads", "2", "--dim", "16", "--seq", "16",
                         "--batch", batch, "--positions", positions or "auto",
                         "--routing", routing, "--workers", "3", "--activate-all",
                         "--verbose")
    assert code == DONE, err
    assert f"routed by {'symmetry' if routing == 'symmetry' else 'turn'}" in err
    run = tmp_path / "run"
    assert steps_of(run) == list(range(1, 31))
    steps = [line for line in read_lines(run / "metrics.jsonl") if "loss" in line]
    assert all(math.isfinite(step["loss"]) for step in steps)
    # How many were late says how busy the machine is: steps of a millisecond wait for the root.
    assert all(step["late"] in (True, False) for step in steps)
    groups = read_lines(run / "groups.jsonl")
    assert [line["group"] for line in groups] == list(range(12))
    assert sum(line["sequences"] for line in groups) == 30 * batch
    assert sum(line["tokens"] for line in groups) == 30 * batch * 16
    if data == "one token":  # all of them want the same position, which has room for its share
        one = groups[ord("a") % 12]
        assert one["sequences"] == 30 * batch
        used = positions or 1
        assert one["moved"] == 30 * (batch - batch // used)
    workers = [line for line in read_lines(run / "spheres.jsonl") if line["role"] == "worker"]
    assert len(workers) == 3 and all(line["active"] for line in workers)


def test_progress_is_one_live_line_on_a_terminal(place):
    try:
        ours, theirs = pty.openpty()
    except OSError as error:  # a chroot without /dev/pts
        pytest.skip(str(error))
    process = subprocess.Popen([TRAIN_MODEL, *arguments_of({"--steps": "20"})], cwd=place,
                               stdin=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # how Linux says that nobody writes any more
            break
    os.close(ours)
    assert process.wait(timeout=SECONDS) == DONE, shown
    assert b"\rstep " in shown and b"step 20/20" in shown


def test_config_file_is_overridden_and_resolved_values_are_readable(tmp_path):
    name = "te xt #1 'a' \"b\" \\n \u00e9.txt"
    (tmp_path / name).write_text("A text with a name that is hard to write down.\n" * 20)
    (tmp_path / "mine.toml").write_text("batch = 3 # small\nlr = 2e-3\nepochs = 1.5\n")
    code, _, err = train(tmp_path, "--config", "mine.toml", "--data", name, "--out", "run",
                         "--batch", "2", "--steps", "3", "--no-bias", "--quiet")
    assert code == DONE, err
    config = tomllib.loads((tmp_path / "run/config.toml").read_text())
    assert Path(config["data"]).name == name
    assert config["batch"] == 2 and config["lr"] == 2e-3 and config["no_bias"] is True
    assert config["steps"] == 3
    # What was written down is a config file as well, and says the same.
    code, _, err = train(tmp_path, "--config", "run/config.toml", "--out", "again", "--quiet")
    assert code == DONE, err
    assert weights_hash(tmp_path / "again") == weights_hash(tmp_path / "run")


# -- stop and resume ----------------------------------------------------------------------------

SHAPE = ["--layers", "2", "--heads", "2", "--dim", "48", "--seq", "48", "--batch", "6",
         "--steps", "120", "--eval-every", "25", "--save-every", "30", "--seed", "7",
         "--dropout", "0.1"]
STEPS = list(range(1, 121))


def write_text(folder):
    words = "the a king queen night day speaks sleeps, and or. who what is not to be".split()
    pick = random.Random(3)
    text = "".join(pick.choice(words) + pick.choice("   \n") for _ in range(8000))
    (folder / "words.txt").write_text(text)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Hash and seconds of the run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("reference")
    write_text(folder)
    started = time.monotonic()
    code, _, err = train(folder, "--data", "words.txt", "--out", "run", "--workers", "2", *SHAPE)
    assert code == DONE, err
    assert steps_of(folder / "run") == STEPS
    return weights_hash(folder / "run"), time.monotonic() - started


def wait_for_steps(process, run, count):
    """Until the process wrote `count` more lines of metrics, or ended."""
    def lines():
        path = run / "metrics.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    before, deadline = lines(), time.monotonic() + SECONDS
    # A resumed run may cut lines off before it adds its own.
    while process.poll() is None and lines() < before + count:
        assert time.monotonic() < deadline, "no step within the time"
        before = min(before, lines())
        time.sleep(0.001)


def interrupt(process, number):
    """Sends a signal unless the process is over; returns what finish() returns."""
    if process.poll() is None:
        process.send_signal(number)
    return finish(process)


@pytest.mark.parametrize("seed, number", [(1, signal.SIGINT), (2, signal.SIGINT),
                                          (3, signal.SIGTERM)])
def test_interrupted_at_random_steps_ends_the_same(tmp_path, reference, seed, number):
    write_text(tmp_path)
    pick, run = random.Random(seed), tmp_path / "run"
    words = ["--data", "words.txt", "--out", "run", *SHAPE]
    stops = 0
    for _ in range(4):
        process = start([*words, "--workers", pick.choice("123")], tmp_path)
        wait_for_steps(process, run, pick.randint(1, 25))
        time.sleep(pick.uniform(0, 0.02))
        code, _, err = interrupt(process, number)
        assert code in (STOPPED, DONE), err
        words = ["--resume", "run"]
        if code == DONE:
            break
        stops += 1
        assert "--resume run" in err, "it says how to go on"
        done = steps_of(run)
        assert done == STEPS[:len(done)] and done
    assert stops >= 1, "no signal came before the end"
    if code == STOPPED:
        code, _, err = train(tmp_path, *words, "--threads", "4", "--quiet")
        assert code == DONE, err
    assert steps_of(run) == STEPS, "every step is there once"
    assert weights_hash(run) == reference[0]


@pytest.mark.parametrize("part", [0.02, 0.1, 0.3, 0.5, 0.8])
def test_interrupted_at_any_moment_loses_nothing(tmp_path, reference, part):
    """Moments between start and end: reading, planning, the first step, evaluation, saving."""
    write_text(tmp_path)
    process = start(["--data", "words.txt", "--out", "run", "--workers", "2", *SHAPE], tmp_path)
    time.sleep(part * reference[1])
    code, _, err = interrupt(process, signal.SIGINT)
    if code == -signal.SIGINT:
        # Before main could ask for the signal.
        assert not (tmp_path / "run").exists()
        return
    assert code in (STOPPED, DONE), err
    if code == STOPPED:
        code, _, err = train(tmp_path, "--resume", "run", "--workers", "3", "--quiet")
        assert code == DONE, err
    assert steps_of(tmp_path / "run") == STEPS
    assert weights_hash(tmp_path / "run") == reference[0]


def test_killed_run_resumes_from_its_last_checkpoint(tmp_path, reference):
    write_text(tmp_path)
    run = tmp_path / "run"
    process = start(["--data", "words.txt", "--out", "run", "--workers", "2", *SHAPE], tmp_path)
    wait_for_steps(process, run, 50)  # beyond the checkpoint of step 30
    process.kill()
    code, _, err = finish(process)
    assert code in (-signal.SIGKILL, DONE), err
    if code != DONE:
        # What a crash may leave behind: half a line.
        with (run / "metrics.jsonl").open("a") as file:
            file.write('{"step":51,"lo')
        code, _, err = train(tmp_path, "--resume", "run", "--quiet")
        assert code == DONE, err
    assert steps_of(run) == STEPS
    assert weights_hash(run) == reference[0]


def test_bf16_without_units_for_it_says_so_once(tmp_path):
    (tmp_path / "text.txt").write_text("Some text to train on for a step or two.\n" * 10)
    process = subprocess.run([TRAIN_MODEL, "--data", "text.txt", "--out", "run", "--steps", "2",
                              "--precision", "bf16", "--verbose"], cwd=tmp_path, text=True,
                             timeout=SECONDS, capture_output=True,
                             env={**os.environ, "CLLM_ISA": "scalar"})
    assert process.returncode == DONE, process.stderr
    assert process.stderr.count("scalar kernels have no units for bf16") == 1
    assert "native scalar, bf16" in process.stderr


def test_bf16_that_onednn_cannot_multiply_here_is_refused(tmp_path):
    (tmp_path / "text.txt").write_text("Some text to train on for a step or two.\n" * 10)
    before = listing(tmp_path)

    def attempt(*words):
        process = subprocess.run([TRAIN_MODEL, "--data", "text.txt", "--out", "run", "--steps", "2",
                                  "--gemm", "onednn", *words], cwd=tmp_path, text=True,
                                 timeout=SECONDS, capture_output=True,
                                 env={**os.environ, "CLLM_ISA": "scalar"})
        return process.returncode, process.stderr

    code, err = attempt("--precision", "bf16")
    assert code == BAD_INPUT and len(err.splitlines()) == 1
    assert listing(tmp_path) == before
    if "not available" in err:
        pytest.skip(err)
    for part in ("gemm onednn", "AVX-512", "got onednn 3.", "--gemm native"):
        assert part in err
    assert attempt("--quiet")[0] == DONE, "fp32 it can"


@pytest.mark.parametrize("option, value", [("--lr", "0.5"), ("--batch", "7"), ("--seed", "8"),
                                           ("--dim", "64"), ("--data", "other.txt"),
                                           ("--routing", "round_robin"), ("--precision", "bf16"),
                                           ("--dropout", "0.1"),
                                           ("--out", "elsewhere"), ("--config", "mine.toml")])
def test_resumed_run_refuses_what_would_change_its_answer(tmp_path, option, value):
    (tmp_path / "text.txt").write_text("Some text to train on for a step or two.\n" * 10)
    (tmp_path / "other.txt").write_text("Another text to train on for a step or two.\n" * 10)
    (tmp_path / "mine.toml").write_text("lr = 0.5\n")
    code, _, err = train(tmp_path, "--data", "text.txt", "--out", "run", "--steps", "2", "--quiet")
    assert code == DONE, err
    before = listing(tmp_path)
    code, _, err = train(tmp_path, "--resume", "run", option, value)
    assert code == BAD_INPUT and len(err.splitlines()) == 1
    assert option in err and value in err
    assert listing(tmp_path) == before
