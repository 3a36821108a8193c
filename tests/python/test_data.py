"""Files as other programs write them, trained on by train_model: read, or refused by name; and the
tokenizer that is saved reads texts as they were trained on.
"""

import bz2
import gzip
import json
import lzma
import pickle
import struct
import subprocess
import zipfile

import numpy as np
import pytest
from conftest import CASES, TRAIN_MODEL, needs

DONE, BAD_INPUT = 0, 2
TEXT = "To be, or not to be, that is the question.\n" * 40
IDS = np.arange(4000, dtype=np.int64) ** 2 % 50257


def train(folder, data, *more):
    """Two steps of a small model; exit code and what it said."""
    sizes = "--layers 1 --heads 2 --dim 16 --seq 16 --batch 2 --steps 2 --workers 1".split()
    out = [] if "--out" in more else ["--out", "run"]
    done = subprocess.run([TRAIN_MODEL, "--data", data, *sizes, *out, *map(str, more)], cwd=folder,
                          text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    return done.returncode, done.stderr


def llmc(magic, version, ids):
    return struct.pack("<256i", magic, version, len(ids), *[0] * 253) + ids.tobytes()


def write_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", TEXT)


FOREIGN = {
    "npz": (lambda p: np.savez(p.open("wb"), ids=IDS), "npz"),
    "gzip": (lambda p: p.write_bytes(gzip.compress(TEXT.encode())), "gzip"),
    "bzip2": (lambda p: p.write_bytes(bz2.compress(TEXT.encode())), "bzip2"),
    "xz": (lambda p: p.write_bytes(lzma.compress(TEXT.encode())), "xz"),
    "docx": (write_zip, "Word"),
    "pickle": (lambda p: p.write_bytes(pickle.dumps(TEXT)), "pickle"),
    "old pickle": (lambda p: p.write_bytes(pickle.dumps(TEXT, protocol=2)), "pickle"),
    "utf-16": (lambda p: p.write_text(TEXT, encoding="utf-16"), "UTF-16"),
    "utf-32": (lambda p: p.write_text(TEXT, encoding="utf-32"), "UTF-32"),
    "floats": (lambda p: np.save(p.open("wb"), np.ones(100)), "NumPy"),
    "evaluation": (lambda p: p.write_bytes(llmc(20240522, 1, IDS)), "evaluation file"),
    "model": (lambda p: p.write_bytes(llmc(20240326, 3, IDS)), "model of llm.c"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_text_is_refused_by_name(tmp_path, kind):
    write, name = FOREIGN[kind]
    write(tmp_path / "data.txt")
    code, said = train(tmp_path, "data.txt")
    assert code == BAD_INPUT and name in said and "data.txt" in said, said
    assert len(said.splitlines()) == 1 and not (tmp_path / "run").exists()


def test_the_same_tokens_train_alike_in_every_file(tmp_path):
    short, word = IDS.astype("uint16"), IDS.astype("uint32")
    for number, type in enumerate(("uint16", "uint32", "int32", "int64", "uint64")):
        np.save(tmp_path / f"{number}.npy", IDS.astype(type))
    (tmp_path / "5.bin").write_bytes(llmc(20240520, 1, short))
    (tmp_path / "6.bin").write_bytes(llmc(20240801, 7, word))
    (tmp_path / "7.bin").write_bytes(short.tobytes())
    kinds = ["NumPy tokens"] * 5 + ["llm.c shard", "llm.c shard of 32-bit tokens", "uint16 tokens"]
    losses = []
    for number, kind in enumerate(kinds):
        run = tmp_path / f"run{number}"
        name = f"{number}.bin" if number >= 5 else f"{number}.npy"
        code, said = train(tmp_path, name, "--vocab", 50257, "--out", run)
        assert code == DONE and f"({kind}): 3,600 tokens to train on" in said, said
        lines = map(json.loads, (run / "metrics.jsonl").open())
        losses.append([line["loss"] for line in lines if "loss" in line])
    assert all(each == losses[0] for each in losses)


@pytest.mark.parametrize("type", ["uint32", "int32", "int64"])
def test_longer_ids_without_a_header_are_refused(tmp_path, type):
    (tmp_path / "train.bin").write_bytes(IDS.astype(type).tobytes())
    code, said = train(tmp_path, "train.bin", "--vocab", 50257)
    assert code == BAD_INPUT and ("64" if type == "int64" else "32") + " bits" in said, said


@pytest.mark.parametrize("path, vocabulary, code, part", [
    ("01-llmc-llama3-shard/train_llama.bin", 128256, DONE, "3,600 tokens to train on"),
    ("01-llmc-llama3-shard/train_llama.bin", 50257, BAD_INPUT, "outside the vocabulary"),
    ("03-npy-shard/edu_train_000001.npy", 50257, DONE, "5,400 tokens to train on"),
    ("06-encodings/utf16.txt", 0, BAD_INPUT, "iconv")])
def test_case_files(tmp_path, path, vocabulary, code, part):
    if not (CASES / path).exists():
        pytest.skip(f"without {CASES / path}")
    more = ["--vocab", vocabulary] if vocabulary else []
    found, said = train(tmp_path, CASES / path, *more)
    assert found == code and part in said, said


def test_notes_say_what_is_odd(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT + "<|endoftext|>" + TEXT)
    code, said = train(tmp_path, "text.txt", "--val", "text.txt", "--vocab", 50257)
    assert code == DONE, said
    for part in ("1 time and is read as the 13 bytes", "--vocab 50257",
                 "--val is the training data", "of text.txt to validate"):
        assert part in said, part


@needs("tokenizers", "transformers")
def test_the_saved_tokenizer_reads_texts_as_they_were_trained_on(tmp_path):
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer
    text = "To be<|endoftext|>or n\u00f6t\n" * 40
    (tmp_path / "text.txt").write_text(text)
    code, said = train(tmp_path, "text.txt")
    assert code == DONE, said
    final = tmp_path / "run/final"
    assert Tokenizer.from_file(str(final / "tokenizer.json")).encode(text).ids == [*text.encode()]
    theirs = AutoTokenizer.from_pretrained(final)
    assert theirs(text).input_ids == [*text.encode()]
    # The end of a text keeps its id and its name, and is left out where special tokens are.
    assert theirs.eos_token_id == theirs.bos_token_id == len(theirs) - 1 == 256
    assert theirs.decode([97, 256, 98]) == "a<|endoftext|>b"
    assert theirs.decode([97, 256, 98], skip_special_tokens=True) == "ab"
    theirs.save_pretrained(tmp_path / "again")
    again = AutoTokenizer.from_pretrained(tmp_path / "again")
    assert again(text).input_ids == [*text.encode()] and again.eos_token_id == 256
