"""Training on data sets: in one command, from the real SQuAD, with a very large vocabulary."""

import gzip
import json
import math
import shutil
import subprocess
import sys

import cllm
import pytest
from cllm.prepare import prepare
from cllm.token_files import DataSet, TokenWriter
from conftest import ROOT, RUN_MODEL, TRAIN_MODEL, needs

pytestmark = needs("tokenizers")

SQUAD = ROOT.parent / "shared/data/squad_dev_v2.json.gz"
TINY = ["--layers", "1", "--heads", "2", "--dim", "16", "--seq", "16", "--batch", "4", "--steps",
        "4", "--workers", "1"]


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs `cllm` in a folder with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "cllm", *map(str, arguments)], cwd=tmp_path,
                              capture_output=True, text=True, timeout=300, check=False)
    return run


def test_a_text_is_prepared_and_trained_on_in_one_command(command, text_file, tmp_path):
    done = command("train", "--data", text_file, "--tokenizer", "bpe:300", "--out", "run", *TINY)
    assert done.returncode == 0, done.stderr
    assert "bits/byte" in done.stdout + done.stderr
    data, = (tmp_path / "cache/cllm/datasets").iterdir()
    assert data.name.startswith("words-")
    name = "tokenizer.json"
    assert (tmp_path / "run/final" / name).read_bytes() == (data / name).read_bytes()
    settings = [json.loads((folder / "tokenizer_config.json").read_text())
                for folder in (data, tmp_path / "run/final")]
    assert settings[1] == {**settings[0], "model_max_length": 16}
    # Found again by its content, whatever its name; another text is another data set.
    (tmp_path / "copy.txt").write_bytes(text_file.read_bytes())
    again = command("train", "--train_file", "copy.txt", "--tokenizer", "bpe:300", "--out", "two",
                    *TINY)
    assert again.returncode == 0, again.stderr
    weights = "final/model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (tmp_path / "two" / weights).read_bytes()
    (tmp_path / "copy.txt").write_text("Another text, which is short.\n" * 40)
    assert command("train", "--data", "copy.txt", "--val", text_file, "--tokenizer", "bpe:300",
                   "--out", "three", *TINY).returncode == 0
    sample = command("generate", "--model", "run", "--prompt", "the king", "--tokens", "5")
    assert sample.returncode == 0 and sample.stdout.startswith("the king"), sample.stderr
    # The run goes on with its data set, and says so where it is given another tokenizer.
    assert command("train", "--resume", "run", "--steps", "5").returncode == 0
    for arguments, message in (
            (["--resume", "run", "--tokenizer", "bpe:300"], "a resumed run has one"),
            (["--data", data, "--tokenizer", "bpe:300", "--out", "no"], "this data set has one"),
            (["--data", "none.txt", "--tokenizer", "bpe:300", "--out", "no"], "none.txt"),
            (["--data", "copy.txt", "--tokenizer", "bpe:3", "--out", "no"], "bpe:3"),
            (["--tokenizer", "bpe:300", "--out", "no"], "--data")):
        refused = command("train", *arguments)
        assert refused.returncode == 2 and message in refused.stderr, refused.stderr
        assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "no").exists()
    # When the cache was cleared, the text is prepared again.
    shutil.rmtree(data)
    assert command("train", "--resume", "run", "--steps", "6").returncode == 2
    more = command("train", "--resume", "run", "--steps", "6", "--data", text_file, "--tokenizer",
                   "bpe:300")
    assert more.returncode == 0, more.stderr


def test_documents_are_read_without_being_asked(command, tmp_path):
    """What is learned are the texts, not the quotes around them."""
    texts = [f"document {i} of the king\n" * 20 for i in range(9)]
    lines = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts))
    (tmp_path / "docs.jsonl").write_text(lines)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/docs.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for data, out in (("docs.jsonl", "one"), ("folder", "two")):
        done = command("train", "--data", data, "--out", out, *TINY)
        assert done.returncode == 0, done.stderr
        config = cllm.TrainConfig.from_toml((tmp_path / out / "config.toml").read_text())
        found = DataSet(config.data)
        assert sorted(found.decode(ids) for part in ("train", "val")
                      for ids in found.documents(part)) == texts
    (tmp_path / "val.txt").write_text(texts[0])
    assert command("train", "--data", "docs.jsonl", "--val", "val.txt", "--out", "three",
                   *TINY).returncode == 0
    (tmp_path / "bad.jsonl").write_text('{"txt": "a"}\n')
    refused = command("train", "--data", "bad.jsonl", "--out", "no", *TINY)
    assert refused.returncode == 2 and 'line 1 has no field "text": got txt' in refused.stderr
    assert not (tmp_path / "no").exists()


@pytest.mark.skipif(not SQUAD.exists(), reason="no SQuAD beside the project")
def test_squad_is_prepared_trained_on_and_sampled(tmp_path):
    """Three articles of the real file: paragraphs with their questions, as documents."""
    articles = json.loads(gzip.decompress(SQUAD.read_bytes()))["data"][:3]
    small = tmp_path / "squad.json"
    small.write_text(json.dumps({"version": "v2.0", "data": articles}))
    made = prepare([small], tmp_path / "set", tokenizer="bpe:600", processes=1)
    paragraphs = sum(len(article["paragraphs"]) for article in articles)
    assert made["train"]["documents"] + made["val"]["documents"] >= paragraphs
    assert made["val"]["documents"] > 0
    config = cllm.TrainConfig(data=tmp_path / "set", out=tmp_path / "run", steps=40, layers=1,
                              heads=2, dim=32, seq=32, lr=1e-2, workers=2)
    trainer = cllm.Trainer(config)
    before = trainer.evaluate()
    trainer.run()
    after = trainer.evaluate()
    assert after.val_loss < before.val_loss - 0.5
    data = DataSet(tmp_path / "set")
    assert after.bits_per_byte == pytest.approx(data.bits_per_byte(after.val_loss), rel=1e-6)
    model = cllm.Model.load(tmp_path / "run")
    assert model.end_tokens == [data.end_of_text]
    text = model.generate("The Normans", tokens=20, seed=4)
    assert isinstance(text, str) and text and "<|endoftext|>" not in text


@needs("transformers")
def test_a_checkpoint_has_the_tokenizer_of_its_data(text_file, tmp_path):
    from transformers import AutoConfig, AutoTokenizer

    prepare([text_file], tmp_path / "set", tokenizer="bpe:400", processes=1)
    cllm.Trainer(cllm.TrainConfig(
        data=tmp_path / "set", out=tmp_path / "run", steps=2, layers=1, heads=2, dim=16, seq=16,
        workers=1)).run()
    theirs = AutoTokenizer.from_pretrained(tmp_path / "run/final")
    text = "the king said naïve 北京 🎉 \t words\n"
    data = DataSet(tmp_path / "set")
    ids = theirs(text)["input_ids"]
    assert data.decode(ids) == text and theirs.decode(ids) == text
    assert theirs.eos_token_id == data.end_of_text
    assert AutoConfig.from_pretrained(tmp_path / "run/final").eos_token_id == data.end_of_text


def test_data_of_a_models_tokenizer_train_the_model(text_file, tmp_path):
    """The file is kept byte for byte, however it is written and whatever it says of batches."""
    prepare([text_file], tmp_path / "first", tokenizer="bpe:300", processes=1)
    tokenizer = json.loads((tmp_path / "first/tokenizer.json").read_bytes())
    tokenizer["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst",
                               "stride": 0}
    model = tmp_path / "model"
    cllm.Trainer(cllm.TrainConfig(data=tmp_path / "first", out=tmp_path / "run", steps=1, layers=1,
                                  heads=2, dim=16, seq=16, workers=1)).run()
    shutil.copytree(tmp_path / "run/final", model)
    (model / "manifest.json").unlink()
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))  # in one line
    made = prepare([text_file], tmp_path / "set", tokenizer=model, processes=1)
    assert made["train"]["tokens"] == DataSet(tmp_path / "first").description["train"]["tokens"]
    assert (tmp_path / "set/tokenizer.json").read_bytes() == (model / "tokenizer.json").read_bytes()
    cllm.Trainer(cllm.TrainConfig(data=tmp_path / "set", init=model, steps=1, workers=1)).step()
    with pytest.raises(cllm.InputError, match="another tokenizer"):
        cllm.Trainer(cllm.TrainConfig(data=tmp_path / "first", init=model, steps=1))


def test_a_vocabulary_of_151936_trains(tmp_path):
    writer = TokenWriter(tmp_path / "large.bin", vocabulary=151936, width=4)
    tokens = [i * i * 7919 % 151936 for i in range(3000)]
    writer.append([*tokens, 151935])
    writer.finish()
    trainer = cllm.Trainer(cllm.TrainConfig(
        data=tmp_path / "large.bin", steps=3, layers=1, heads=2, dim=16, seq=16, batch=4, lr=1e-3,
        workers=2))
    losses = [trainer.step().loss for _ in range(3)]
    assert losses[0] == pytest.approx(math.log(151936), abs=0.1)
    assert trainer.parameters()["transformer.wte.weight"].shape == (151936, 16)


def test_train_model_takes_a_data_set_and_says_what_tokenizes(text_file, tmp_path):
    prepare([text_file], tmp_path / "set", tokenizer="bytes", processes=1)
    done = subprocess.run([TRAIN_MODEL, "--data", tmp_path / "set", "--out", tmp_path / "run",
                           *TINY], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    sample = subprocess.run([RUN_MODEL, "--model", tmp_path / "run", "--prompt", "the king",
                             "--tokens", "5"], capture_output=True, timeout=300, check=False)
    assert sample.returncode == 0 and sample.stdout.startswith(b"the king"), sample.stderr
    refused = subprocess.run([TRAIN_MODEL, "--data", text_file, "--tokenizer", "bpe:300"],
                             capture_output=True, text=True, timeout=300, check=False)
    assert refused.returncode == 2 and "cllm prepare" in refused.stderr, refused.stderr
