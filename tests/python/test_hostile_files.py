"""Every command with input that was made to hurt: one line, the documented code, soon, in little
memory."""

import json
import os
import resource
import subprocess
import sys

import pytest
from conftest import RUN_MODEL, TRAIN_MODEL, needs

pytestmark = needs("cllm", "numpy", "typer", "rich")
cllm = pytest.importorskip("cllm")

DONE, FAILED, BAD_INPUT = 0, 1, 2
SECONDS = 60
MEMORY = 3 << 30  # address space: threads and libraries reserve more than they use
BAD_BYTES = b"\xff\xfe<\x9b"


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run(*words, folder, program=(sys.executable, "-m", "cllm"), **options):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | options
    process = subprocess.run([*program, *words], cwd=folder, stderr=subprocess.PIPE,
                             timeout=SECONDS, check=False, preexec_fn=limit_memory,
                             env=os.environ | {"NO_COLOR": "1", "OPENBLAS_NUM_THREADS": "1"},
                             **options)
    return process.returncode, process.stdout, process.stderr


def expect_one_line(result, code=BAD_INPUT):
    found, out, err = result
    assert found == code, err
    assert err.count(b"\n") == 1 and err.endswith(b"\n") and b"Traceback" not in err, err
    assert len(err) < 2000 and not any(c < 32 for c in err[:-1]), err
    assert not out


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "model"
    config = cllm.ModelConfig(layers=1, heads=2, dim=8, seq=16, vocab=257)
    cllm.Model.create(config, byte_tokens=True).save(folder)
    return folder


@pytest.fixture
def place(tmp_path, model):
    """What can be wrong with a path, by name; `model` is whole."""
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "circular").mkdir()
    for name in ("config.json", "config.toml"):
        (tmp_path / "circular" / name).symlink_to(name)
    (tmp_path / "file.txt").write_text("some text\n" * 30)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/config.json").write_text("[" * 200_000)
    (tmp_path / "large").mkdir()
    config = json.loads((model / "config.json").read_text())
    config.update(n_layer=48, n_embd=1600, n_head=25, vocab_size=50257)
    (tmp_path / "large/config.json").write_text(json.dumps(config))
    (tmp_path / "large/model.safetensors").write_bytes((model / "model.safetensors").read_bytes())
    header = b'{"' + b"x\x1b" * 1_500_000 + b'":3}'
    (tmp_path / "long").mkdir()
    (tmp_path / "long/config.json").write_bytes((model / "config.json").read_bytes())
    (tmp_path / "long/model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (tmp_path / "model").symlink_to(model)
    return tmp_path


PLACES = ["circle", "circular", "file.txt", "empty", "pipe", "deep", "large", "long", "nowhere",
          "file.txt/x", "x" * 5000, "", BAD_BYTES]
USES = {
    "generate": lambda p: ["generate", "--model", p],
    "bench": lambda p: ["bench", "--model", p, "--steps", "1", "--json"],
    "resume": lambda p: ["train", "--resume", p],
    "init": lambda p: ["train", "--data", "file.txt", "--out", "run", "--init", p],
    "config": lambda p: ["train", "--data", "file.txt", "--out", "run", "--config", p],
    "machine": lambda p: ["plan", "--machine", p],
}


@pytest.mark.parametrize("use", USES)
def test_paths_that_cannot_be(place, use):
    for path in PLACES:
        if (use, path) in {("config", "file.txt"), ("init", "")}:
            continue  # a text is a wrong configuration as well; no --init is a run without
        words = USES[use](place / path if path in ("circle", "circular") else path)
        result = run(*words, folder=place)
        try:
            expect_one_line(result)
        except AssertionError as error:
            raise AssertionError(f"{use} of {path!r:.60}: {error}") from None
    assert not (place / "run").exists()


@pytest.mark.parametrize("use", ["generate", "resume", "init", "config"])
def test_paths_that_cannot_be_for_the_programs(place, use):
    program = RUN_MODEL if use == "generate" else TRAIN_MODEL
    for path in PLACES:
        if (use, path) in {("config", "file.txt"), ("init", ""), ("config", "")}:
            continue
        words = USES[use](path)[1:]
        if use != "generate" or path != BAD_BYTES:
            expect_one_line(run(*words, folder=place, program=[program]))


def test_prompts_of_any_bytes(place):
    """A byte model reads them as they are."""
    words = ["generate", "--model", "model", "--tokens", "3", "--prompt", BAD_BYTES]
    code, out, err = run(*words, folder=place)
    assert (code, err) == (DONE, b"") and out.startswith(BAD_BYTES)
    ids = place / "ids"
    cllm.Model.create(cllm.ModelConfig(layers=1, heads=2, dim=8, seq=16, vocab=300)).save(ids)
    expect_one_line(run("generate", "--model", "ids", "--prompt", BAD_BYTES, folder=place))
    for broken in (b"", b"{}", b"\xff", b"[" * 100_000):
        (ids / "tokenizer.json").write_bytes(broken)
        expect_one_line(run("generate", "--model", "ids", "--prompt", "x", folder=place))


BAD_WORDS = [
    ["generate"], ["generate", "--model"], ["generate", "--model", "model", "--tokens", "x"],
    ["generate", "--model", "model", "--tokens", "-1"],
    ["generate", "--model", "model", "--tokens", 10**40],
    ["generate", "--model", "model", "--seed", 10**40],
    ["generate", "--model", "model", "--top-k", 10**40],
    ["generate", "--model", "model", "--temperature", "nan"],
    ["generate", "--model", "model", "--top-p", "-inf"],
    ["generate", "--nonsense"], ["nonsense"], [BAD_BYTES], ["generate", BAD_BYTES],
    ["train", "--data", BAD_BYTES, "--out", "run"], ["train", "--lr", BAD_BYTES],
    ["train", "--data", "file.txt", "--out", BAD_BYTES + b"/../circle/x"],
    ["train", "--data", "file.txt", "--out", "x" * 5000],
    ["train", "--data", "file.txt", "--out", "run", "--layers", 2**14, "--dim", 2**17],
    ["plan", "--layers", 10**9], ["plan", "--layers", 2**14, "--dim", 2**17, "--heads", 1],
    ["plan", "--vocab", 2**31], ["plan", "--vocab", 2**62],
    ["verify", "--workers", BAD_BYTES], ["verify", "--data", BAD_BYTES],
    ["verify", "--steps", "x"], ["bench", BAD_BYTES], ["bench", "--workers", 10**30],
    ["data", BAD_BYTES], ["data", "shakespeare", "--archive", BAD_BYTES],
]


@pytest.mark.parametrize("words", BAD_WORDS, ids=lambda words: repr(words)[:60])
def test_words_that_cannot_be(place, words):
    code, _, err = run(*words, folder=place)
    assert code in (FAILED, BAD_INPUT), err
    if words[0] != "data":
        assert code == BAD_INPUT, err
    expect_one_line((code, b"", err), code)
    assert not (place / "run").exists()


OUTPUTS = {"generate": ["generate", "--model", "model", "--tokens", "5"], "plan": ["plan"],
           "help": ["train", "--help"], "version": ["--version"],
           "verify": ["verify", "--workers", "1", "--steps", "1"]}


@pytest.mark.parametrize("use", OUTPUTS)
def test_output_that_cannot_be_written(place, use):
    """A full disk is one line; a reader that has gone, as with `| head`, is at most one."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as gone, open("/dev/full", "wb") as full:
        for output in (gone, full):
            code, _, err = run(*OUTPUTS[use], folder=place, stdout=output)
            assert code == FAILED and b"Traceback" not in err, err
            assert err.count(b"\n") == 1 or (output is gone and not err), err
    shell = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "cllm"]
    code, _, err = run(*OUTPUTS[use], folder=place, program=shell)
    assert code in (DONE, FAILED) and b"Traceback" not in err and err.count(b"\n") <= 1, err


def test_sizes_beyond_all_reason():
    for sizes in ({"vocab": 2**62}, {"seq": 2**62}, {"layers": 2**40}, {"dim": 2**40, "heads": 1},
                  {"layers": 2**14, "dim": 2**17, "heads": 1}):
        with pytest.raises(cllm.InputError, match="too large"):
            cllm.Model.create(cllm.ModelConfig(**sizes))
    with pytest.raises(cllm.InputError, match="fit in memory"):
        cllm.Model.create(cllm.ModelConfig(layers=1000, dim=2400, heads=1))
