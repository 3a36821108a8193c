"""Token files and data sets from Python: what is written comes back, damage is named."""

import importlib
import json
import math
import shutil

import pytest

cllm = pytest.importorskip("cllm")
numpy = pytest.importorskip("numpy")
pytest.importorskip("tokenizers")
token_files = importlib.import_module("cllm.token_files")
prepare = importlib.import_module("cllm.prepare").prepare
DataSet, TokenWriter = token_files.DataSet, token_files.TokenWriter


@pytest.mark.parametrize("width, kind", [(2, numpy.uint16), (4, numpy.uint32)])
def test_tokens_come_back(tmp_path, width, kind):
    path = tmp_path / "a.bin"
    writer = TokenWriter(path, vocabulary=60000, width=width, tokenizer=bytes(range(32)))
    tokens = numpy.random.default_rng(1).integers(0, 60000, 700_000)
    for piece in (tokens[:3], tokens[3:3], tokens[3:].tolist()):
        writer.append(piece)
    assert not path.exists()
    writer.finish(text_bytes=123)
    info = token_files.read_token_file(path)
    assert (info.tokens, info.vocabulary, info.width, info.text_bytes, info.tokenizer) == (
        700_000, 60000, width, 123, bytes(range(32)))
    found = token_files.open_tokens(path)
    assert found.dtype == kind and numpy.array_equal(found, tokens)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1
    with pytest.raises(cllm.CllmError, match="finished"):
        writer.append([1])
    TokenWriter(tmp_path / "none.bin", vocabulary=1, width=width).finish()
    assert len(token_files.open_tokens(tmp_path / "none.bin")) == 0


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    path = tmp_path / "a.bin"
    writer = TokenWriter(path, vocabulary=10, width=2)
    writer.append([1, 2])
    for token in (10, -1):
        with pytest.raises(cllm.InputError, match=f"{token} at position 2"):
            writer.append([token])
    del writer
    for wrong in ({"vocabulary": 70000, "width": 2}, {"vocabulary": 10, "width": 3},
                  {"vocabulary": 0, "width": 2}, {"vocabulary": 9, "width": 2, "tokenizer": b"x"}):
        with pytest.raises(cllm.InputError):
            TokenWriter(path, **wrong)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set of nine documents in several files."""
    place = tmp_path_factory.mktemp("made")
    (place / "a.jsonl").write_text("".join(json.dumps(f"text {i} " * 9) + "\n" for i in range(9)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("cllm.prepare.store"), "SHARD", 100)
        patch.setattr(importlib.import_module("cllm.prepare.pieces"), "BATCH", 50)
        prepare([place / "a.jsonl"], place / "set", val_fraction=0.3)
    return place / "set"


def test_documents_and_bits_per_byte(made):
    data = DataSet(made, verify=True)
    assert repr(data).endswith(f"{sum(map(len, data.files('val')))} tokens of val, vocabulary 257>")
    assert data.vocabulary == 257 and data.end_of_text == 256 and len(data.files()) > 2
    texts = [data.decode(tokens) for part in ("train", "val") for tokens in data.documents(part)]
    assert sorted(texts) == [f"text {i} " * 9 for i in range(9)]
    assert sum(map(len, data.files())) == data.description["train"]["tokens"]
    found = data.description["val"]
    assert data.bits_per_byte(2.0) == pytest.approx(
        2.0 / math.log(2) * found["tokens"] / found["text_bytes"])
    assert found["tokens"] == found["text_bytes"] + found["documents"]
    with pytest.raises(cllm.InputError, match='got "test", expected train or val'):
        data.files("test")


def changed(folder, change):
    description = json.loads((folder / "dataset.json").read_text())
    change(description)
    (folder / "dataset.json").write_text(json.dumps(description))


def of_another_tokenizer(folder):
    description = json.loads((folder / "dataset.json").read_text())
    size = description["train"]["files"][0]["tokens"]
    writer = TokenWriter(folder / "train-00000.bin", vocabulary=257, width=2, tokenizer=b"7" * 32)
    writer.append([1] * size)
    writer.finish()


def damage(folder, name, at):
    content = bytearray((folder / name).read_bytes())
    content[at] ^= 1
    (folder / name).write_bytes(content)


@pytest.mark.parametrize("harm, said", [
    (lambda f: (f / "dataset.json").unlink(), "cannot be read: No such file"),
    (lambda f: (f / "dataset.json").write_text("[" * 100000), "no description of a data set"),
    (lambda f: (f / "dataset.json").write_text("[]"), "no description of a data set"),
    (lambda f: changed(f, lambda d: d.update(version=3)), "of another version: got 3, expected 1"),
    (lambda f: changed(f, lambda d: d.pop("train")), "train: expected an object"),
    (lambda f: changed(f, lambda d: d["val"].update(tokens=-1)), "val.tokens: got -1, expe"),
    (lambda f: changed(f, lambda d: d["val"].update(tokens=True)), "val.tokens: got true"),
    (lambda f: changed(f, lambda d: d["val"].update(tokens=1 << 70)), "val.tokens: got 118"),
    (lambda f: changed(f, lambda d: d["tokenizer"].update(sha256=5)), "tokenizer.sha256: got 5"),
    (lambda f: changed(f, lambda d: d["train"]["files"].append(3)), "expected an object"),
    (lambda f: changed(f, lambda d: d["train"]["files"].pop()), "train: got files of"),
    (lambda f: changed(f, lambda d: d["train"]["files"][0].update(file="../a.bin")), "a name in"),
    (lambda f: changed(f, lambda d: d["train"].update(document_starts=3)), "the name of a file"),
    (lambda f: changed(f, lambda d: d["tokenizer"].update(vocabulary=300)), "expected 300 as data"),
    (lambda f: (f / "train-00001.bin").unlink(), "train-00001.bin"),
    (lambda f: (f / "train-00001.bin").write_bytes(b"text"), "no token file of CLLM"),
    (lambda f: (f / "train-00001.bin").write_bytes((f / "train-00000.bin").read_bytes()[:-1]),
     "does not have the size its header tells"),
    (lambda f: damage(f, "train-00001.bin", 20), "does not match its checksum"),
    (lambda f: damage(f, "train-00001.bin", 1025), "damage in block 0"),
    (of_another_tokenizer, "train-00000.bin: of another tokenizer: got 373737373737"),
    (lambda f: (f / "train-documents.npy").write_bytes(b"\x93NUMPY"), "document starts cannot be"),
    (lambda f: (f / "train-documents.npy").write_bytes(b"\x93NUMPY\x01\0\x0a\0{'descr': ("),
     "document starts cannot be"),
    (lambda f: changed(f, lambda d: d["train"]["files"][0].update(file="a\nb\x1b[2J/")),
     r"a\nb\x1b[2J/"),
    (lambda f: numpy.save(f / "train-documents.npy", numpy.arange(3)), "numbers of 64 bits"),
    (lambda f: numpy.save(f / "train-documents.npy", numpy.array([9, 9] * 4, "<u8")[:7]),
     "document"),
    (lambda f: (f / "tokenizer.json").write_text("{"), "the tokenizer cannot be read"),
])
def test_damage_is_one_line_that_says_where(made, tmp_path, harm, said):
    folder = tmp_path / "set"
    shutil.copytree(made, folder)
    harm(folder)
    def read():
        data = DataSet(folder, verify=True)
        return [data.decode(t) for part in ("train", "val") for t in data.documents(part)]

    with pytest.raises(cllm.InputError) as caught:
        read()
    assert said in str(caught.value) and str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_checksums_are_checked_on_demand(made, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(made, folder)
    damage(folder, "train-00001.bin", 1025)
    assert DataSet(folder).vocabulary == 257
    assert len(token_files.open_tokens(folder / "train-00001.bin", verify=False))
    with pytest.raises(cllm.InputError, match="damage in block 0"):
        token_files.open_tokens(folder / "train-00001.bin")
