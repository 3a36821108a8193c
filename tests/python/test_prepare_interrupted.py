"""`cllm prepare` that is killed, stopped, out of room or started twice gives the same files."""

import errno
import importlib
import os
import signal
import subprocess
import sys

import pytest
from conftest import contents, text_of

cllm = pytest.importorskip("cllm")
pytest.importorskip("numpy")
pytest.importorskip("tokenizers")
store, work = (importlib.import_module(f"cllm.prepare.{name}") for name in ("store", "work"))
DataSet = importlib.import_module("cllm.token_files").DataSet
power_cut = importlib.import_module("power_cut")
MOMENTS, PowerCut, ending_at = power_cut.MOMENTS, power_cut.PowerCut, power_cut.ending_at
WAY = {"tokenizer": "bpe:270", "processes": 1}
prepare = work.prepare


@pytest.fixture
def whole(tmp_path, small):
    """A small input, what a run without interruption makes of it, and how many moments that has."""
    text = tmp_path / "text"
    text.mkdir()
    for i in range(7):
        (text / f"{i}.txt").write_text(text_of(i))
    with ending_at(0) as moments:
        prepare([text], tmp_path / "whole", **WAY)
    return text, contents(tmp_path / "whole"), moments


def go_on(text, out, wanted, **more):
    """Runs to the end. What was whole already may be refused."""
    try:
        prepare([text], out, **WAY, **more)
    except cllm.InputError as error:
        assert "already holds a data set" in str(error)
    assert contents(out) == wanted and [path for path in out.iterdir() if path.is_dir()] in (
        [], [out / ".prepare"])


def test_work_cut_at_any_moment_goes_on_and_gives_the_same_files(whole, tmp_path):
    text, wanted, moments = whole
    last = len(moments) - moments[::-1].index("seal")  # from here on it is short: all of them
    numbers = {*range(1, 8), *range(8, last, 1 + last // 25), *range(last, len(moments) + 1)}
    assert len(numbers) > 40 and {moments[n - 1] for n in numbers} == {name for _, name in MOMENTS}
    for number in sorted(numbers):
        out = tmp_path / f"set{number}"
        with ending_at(number), pytest.raises(PowerCut):
            prepare([text], out, **WAY)
        if (out / "dataset.json").exists():
            assert contents(out) == wanted
        go_on(text, out, wanted)


@pytest.mark.parametrize("step", [40, 97])
def test_work_cut_again_and_again_comes_to_its_end(whole, tmp_path, step):
    text, wanted, moments = whole
    out = tmp_path / "set"
    for stops in range(len(moments)):  # noqa: B007
        with ending_at(step):
            try:
                prepare([text], out, **WAY)
                break
            except PowerCut:
                pass
    assert stops >= len(moments) // step and contents(out) == wanted
    assert not (out / ".prepare").exists()


def test_a_data_set_is_replaced_whole_or_not_at_all(whole, tmp_path, monkeypatch):
    text, wanted, _ = whole
    old = tmp_path / "old"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "SHARD", 500)
        prepare([text], old, processes=1)
    before = contents(old)
    assert "train-00004.bin" in before and "train-00004.bin" not in wanted
    with pytest.raises(cllm.InputError, match=r"already holds a data set: .* force=True"):
        prepare([text], old, **WAY)
    assert contents(old) == before
    new = replaced = False
    for number in range(1, 1000, 3):
        with ending_at(number):
            try:
                prepare([text], old, force=True, **WAY)
                break
            except PowerCut:
                pass
        if (old / "dataset.json").exists():
            DataSet(old, verify=True)
            new = new or contents(old) == wanted
            assert new or contents(old) == before
        else:
            replaced = True
    assert contents(old) == wanted and replaced and not (old / ".prepare").exists()
    (old / "dataset.json").write_text("{}")
    with pytest.raises(cllm.InputError, match="no description of a data set"):
        prepare([text], old, force=True, **WAY)


def test_a_full_disk_leaves_nothing_half_valid(whole, tmp_path):
    text, wanted, moments = whole
    for number in range(3, len(moments) - 3, len(moments) // 12):
        out = tmp_path / f"set{number}"
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with ending_at(number, full), pytest.raises(cllm.CllmError) as caught:
            prepare([text], out, **WAY)
        assert not isinstance(caught.value, cllm.InputError)
        assert "No space left on device; " in str(caught.value) and str(out) in str(caught.value)
        if (out / "dataset.json").exists():
            assert contents(out) == wanted
        go_on(text, out, wanted)


PROGRAM = """
import os, random, resource, signal, sys, time
from cllm.prepare import encode, pieces, scan, store, work

pieces.PIECE, pieces.BATCH, store.SHARD, work.SAVE_EVERY = 200, 900, 8000, 0
store.os.fsync = lambda file: None
text, out, how = sys.argv[1:]

def prepare(out, processes=1):
    encode.ALONE = 0
    work.prepare([text], out, tokenizer="bpe:270", processes=processes)

if how == "small files":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
    prepare(out)
if how == "waits":
    scan_file = scan.scan_file
    def wait(*given):
        print("begun", flush=True)
        sys.stdin.readline()
        scan_file(*given)
        scan.scan_file = scan_file
    scan.scan_file = wait
    prepare(out)
if how == "kills":
    pick, kills, sets = random.Random(int(os.environ["SEED"])), 0, 0
    begin, longest = time.monotonic(), 0.1
    while kills < 30:
        here = f"{out}{sets}"
        for attempt in range(40):
            child = os.fork()
            if child == 0:
                try:
                    prepare(here, 1 + attempt % 5 // 4)  # two processes now and then
                finally:
                    os._exit(0)
            time.sleep(pick.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            kills += status == signal.SIGKILL
            if status != signal.SIGKILL or os.path.exists(here + "/dataset.json"):
                break
            longest *= 1.05
        if os.path.exists(here + "/.prepare/state.json"):
            prepare(here)
        sets += 1
        longest = 0.1
    print(sets)
"""


def start(text, out, how, **more):
    script = out.with_suffix(".py")
    script.write_text(PROGRAM)
    return subprocess.Popen([sys.executable, script, text, out, how], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            **more)


def test_thirty_kills_at_random_moments(whole, tmp_path):
    text, wanted, _ = whole
    seed = os.getpid()
    process = start(text, tmp_path / "set", "kills", env={**os.environ, "SEED": str(seed)})
    said, wrong = process.communicate()
    assert process.returncode == 0, f"seed {seed}: {wrong}"
    for number in range(int(said)):
        out = tmp_path / f"set{number}"
        assert (out / "dataset.json").exists(), f"seed {seed}: {out}"
        go_on(text, out, wanted)


def test_a_limit_on_the_size_of_files_is_named(whole, tmp_path):
    text, wanted, _ = whole
    process = start(text, tmp_path / "set", "small files")
    said = process.communicate()[1]
    assert process.returncode == 1 and "File too large" in said
    assert not (tmp_path / "set/dataset.json").exists()
    go_on(text, tmp_path / "set", wanted)


def test_the_second_of_two_at_once_refuses(whole, tmp_path):
    text, wanted, _ = whole
    out = tmp_path / "set"
    first = start(text, out, "waits")
    assert first.stdout.readline() == "begun\n"
    before = contents(out / ".prepare")
    for force in (False, True):
        with pytest.raises(cllm.InputError, match="another prepare works in this folder"):
            prepare([text], out, force=force, **WAY)
    assert contents(out / ".prepare") == before
    wrong = first.communicate("go on\n")[1]
    assert first.returncode == 0, wrong
    go_on(text, out, wanted)


def test_a_lock_that_was_just_removed_does_not_count(whole, tmp_path, monkeypatch):
    text, _, _ = whole
    folder = importlib.import_module("cllm.prepare.folder")
    real = folder.fcntl.flock

    def flock(lock, how):  # between opening and locking, the other one finishes
        real(lock, how)
        (tmp_path / "set/.prepare/lock").unlink()

    monkeypatch.setattr(folder.fcntl, "flock", flock)
    with pytest.raises(cllm.InputError, match="another prepare works in this folder"):
        prepare([text], tmp_path / "set", **WAY)


def test_unfinished_work_of_other_settings(whole, tmp_path):
    text, wanted, moments = whole
    out = tmp_path / "set"
    with ending_at(len(moments) // 2), pytest.raises(PowerCut):
        prepare([text], out, processes=1)
    with pytest.raises(cllm.InputError, match=r"another tokenizer, expected the same command"):
        prepare([text], out, **WAY)
    (text / "0.txt").write_text("something else")
    with pytest.raises(cllm.InputError, match=r"0\.txt: changed since .* \(force=True begins anew"):
        prepare([text], out)
    prepare([text], out, force=True, processes=1)
    (text / "0.txt").write_text(text_of(0))
    prepare([text], out, force=True, **WAY)
    assert contents(out) == wanted


def test_work_does_not_go_on_with_another_tokenizer_of_the_same_name(whole, tmp_path):
    text, _, moments = whole
    tokenizers = importlib.import_module("cllm.prepare.tokenizers")
    name, way = tmp_path / "t.json", {"tokenizer": tmp_path / "t.json", "processes": 1}
    name.write_text(tokenizers.of_bytes().json)
    with ending_at(len(moments) // 2), pytest.raises(PowerCut):
        prepare([text], tmp_path / "set", **way)
    name.write_text(tokenizers.of_characters(set("".join(map(text_of, range(7))))).json)
    with pytest.raises(cllm.InputError, match="got another tokenizer_sha256, expected the same"):
        prepare([text], tmp_path / "set", **way)
    prepare([text], tmp_path / "set", force=True, **way)
    DataSet(tmp_path / "set", verify=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_command_which_goes_on(whole, tmp_path, monkeypatch, number):
    from cllm import cli
    from typer.testing import CliRunner

    text, wanted, _ = whole
    command = ["prepare", str(text), "--out", str(tmp_path / "set"), "--tokenizer", "bpe:270",
               "--quiet", "--processes", "1"]
    before, real, left = signal.getsignal(number), store.Part.append, [9]

    def append(*given):
        real(*given)
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(store.Part, "append", append)
    stopped = CliRunner().invoke(cli.app, command)
    assert stopped.exit_code == 3 and "the same command goes on" in stopped.output
    again = CliRunner().invoke(cli.app, command)
    assert again.exit_code == 0 and contents(tmp_path / "set") == wanted
    if number != signal.SIGINT:  # of which nothing may come after the command's end
        assert signal.getsignal(number) == before
    signal.signal(signal.SIGINT, signal.default_int_handler)
