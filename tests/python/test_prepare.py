"""What `cllm prepare` makes, on any number of processes, in how much memory."""

import cProfile
import importlib
import json
import pstats
import subprocess
import sys

import pytest
from conftest import contents

cllm = pytest.importorskip("cllm")
numpy = pytest.importorskip("numpy")
pytest.importorskip("tokenizers")
encode, pieces = (importlib.import_module(f"cllm.prepare.{name}") for name in ("encode", "pieces"))
prepare = importlib.import_module("cllm.prepare").prepare


def tokens_of(folder, part):
    """All tokens of a part, as the headers of its files say where they are."""
    description = json.loads((folder / "dataset.json").read_text())
    found = [numpy.empty(0, numpy.int64)]
    for shard in description[part]["files"]:
        info = cllm._cllm.read_token_file(folder / shard["file"], verify=True)
        assert info.tokens == shard["tokens"] and info.text_bytes == shard["text_bytes"]
        assert info.tokenizer.hex() == description["tokenizer"]["sha256"]
        found.append(numpy.fromfile(folder / shard["file"], f"<u{info.width}", info.tokens,
                                    offset=info.begin).astype(numpy.int64))
    return numpy.concatenate(found)


def documents_of(folder, part):
    """The tokens of every document without its end, and its text."""
    description = json.loads((folder / "dataset.json").read_text())
    library = importlib.import_module("tokenizers")
    tokenizer = library.Tokenizer.from_file(str(folder / "tokenizer.json"))
    end, tokens = description["tokenizer"]["end_of_text"], tokens_of(folder, part)
    assert len(tokens) == description[part]["tokens"]
    if not len(tokens):
        return []
    starts = numpy.load(folder / description[part]["document_starts"]).tolist()
    assert len(starts) == description[part]["documents"]
    found = []
    for begin, stop in zip(starts, [*starts[1:], len(tokens)], strict=True):
        ids = tokens[begin:stop].tolist()
        assert ids[-1] == end and end not in ids[:-1]
        found.append((ids[:-1], tokenizer.decode(ids[:-1], skip_special_tokens=False)))
    return found


@pytest.mark.parametrize("tokenizer", ["bytes", "chars", "bpe:400"])
def test_documents_come_back_and_never_stand_in_both_parts(corpus, tmp_path, small, monkeypatch,
                                                           tokenizer):
    monkeypatch.setattr(encode, "ALONE", 1 << 30)
    folder, texts = corpus
    made = prepare([folder], tmp_path / "set", tokenizer=tokenizer)
    train = documents_of(tmp_path / "set", "train")
    val = documents_of(tmp_path / "set", "val")
    assert sorted(t for _, t in train + val) == sorted(texts)
    assert not {t for _, t in train} & {t for _, t in val}
    size = sum(len(text.encode()) for text in texts)
    assert made["train"]["text_bytes"] + made["val"]["text_bytes"] == size
    assert 0.02 * size < made["val"]["text_bytes"] < 0.2 * size
    assert len(made["train"]["files"]) > (1 if tokenizer != "bpe:400" else 0)
    assert [source["documents"] for source in made["sources"]] == [25] + [1] * 15
    assert not [name for name in contents(tmp_path / "set") if name[0] == "." or "partial" in name]


def test_any_number_of_processes_writes_the_same_files(corpus, tmp_path, small):
    wanted = None
    for processes in (1, 3):
        out = tmp_path / f"set{processes}"
        prepare([corpus[0]], out, tokenizer="bpe:300", processes=processes)
        wanted = wanted or contents(out)
        assert contents(out) == wanted


def test_a_single_text_is_cut_and_validation_files_do_not_train(tmp_path, capfd):
    lines = [f"line {i}\n" for i in range(1000)]
    one, other = tmp_path / "one.txt", tmp_path / "other.jsonl"
    one.write_text("".join(lines))
    prepare([one], tmp_path / "set", val_fraction=0.25)
    end = 256
    train, val = (tokens_of(tmp_path / "set", part) for part in ("train", "val"))
    assert bytes(train.astype(numpy.uint8)).decode() + bytes(
        val[:-1].astype(numpy.uint8)).decode() == "".join(lines)
    assert val[-1] == end and end not in train
    assert bytes(val[:4].astype(numpy.uint8)) == b"line"
    assert 0.2 < len(val) / (len(train) + len(val)) < 0.3
    other.write_text('{"text": "kept"}\n' + json.dumps({"text": "".join(lines)}) + "\n")
    made = prepare([other], tmp_path / "other", val=[one], progress=True)
    assert [text for _, text in documents_of(tmp_path / "other", "train")] == ["kept"]
    assert made["val"]["documents"] == 1 and "left out 1 document that" in capfd.readouterr().err
    assert prepare([one], tmp_path / "none", val_fraction=0)["val"]["tokens"] == 0
    with pytest.raises(cllm.InputError, match="to train and to validate"):
        prepare([one], tmp_path / "both", val=[one])

def test_of_few_large_texts_the_end_of_the_largest_validates(tmp_path):
    lines = [f"line {i} of a book\n" for i in range(4000)]
    texts = {"a.txt": "".join(lines[:1800]), "b.txt": "".join(lines[1800:])}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    made = prepare(sorted(tmp_path.glob("*.txt")), tmp_path / "set")
    assert made["train"]["documents"] == 2 and made["val"]["documents"] == 1
    total = made["train"]["text_bytes"] + made["val"]["text_bytes"]
    assert total == sum(map(len, texts.values()))
    assert made["val"]["text_bytes"] == pytest.approx(0.1 * total, rel=0.01)
    (tmp_path / "c.txt").write_text(texts["b.txt"])  # a copy of the largest: the other is cut
    made = prepare(sorted(tmp_path.glob("*.txt")), tmp_path / "copies")
    assert made["val"]["documents"] == 1 and made["train"]["documents"] == 3
    for name in "ab":
        (tmp_path / f"{name}{name}.txt").write_text(texts[f"{name}.txt"])
    made = prepare(sorted(tmp_path.glob("*.txt")), tmp_path / "doubles")  # nothing may be cut
    assert (made["train"]["documents"], made["val"]["documents"]) == (3, 2)


@pytest.mark.parametrize("text", [
    "word " * 300, "Über\n" * 300, "北京很大。" * 300, "x" * 1500, " " * 1500,
    "a1b2" * 400, "\n\n" * 700])
def test_pieces_are_the_text_and_end_where_a_token_does(text):
    found = list(pieces.cut_documents(iter([(text[:700], False), (text[700:], True)]), True, "x"))
    assert "".join(piece.text for piece in found) == text
    assert [p.starts for p in found] == [True] + [False] * (len(found) - 1)
    assert [p.ends for p in found] == [False] * (len(found) - 1) + [True]


def test_cut_places():
    assert pieces.cut_of("some words here.\n\n And more", 20) == 10
    assert pieces.cut_of("北京很大。上海也大。" * 3, 20) == 19
    assert pieces.cut_of("x" * 30, 20) == 20


PROGRAM = """
import sys
from cllm.prepare import encode, prepare
encode.ALONE = int(sys.argv[4])
prepare([sys.argv[1]], sys.argv[2], processes=int(sys.argv[3]))
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def run(text, out, processes, alone):
    """Prepares in a process of its own and returns the most memory it had, in MiB."""
    script = out.with_suffix(".py")
    script.write_text(PROGRAM)
    done = subprocess.run([sys.executable, script, text, out, str(processes), str(alone)],
                          text=True, capture_output=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return int(done.stdout) // 1024


def test_a_script_may_have_processes_without_a_guard(corpus, tmp_path):
    run(corpus[0], tmp_path / "two", 2, 0)
    run(corpus[0], tmp_path / "one", 1, 0)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_memory_does_not_grow_with_the_input(tmp_path):
    used = []
    for megabytes in (4, 40):
        text = tmp_path / "long.txt"
        text.write_bytes(b"line without end " * (megabytes << 16))
        used.append(run(text, tmp_path / f"set{megabytes}", 1, 1 << 30))
    assert used[1] < used[0] + 25 and used[1] < 200


def test_work_grows_with_the_number_of_files_and_no_faster(tmp_path):
    calls = []
    for count in (300, 1200):
        folder = tmp_path / str(count)
        folder.mkdir()
        for i in range(count):
            (folder / f"{i}.txt").write_text(f"text {i}")
        profile = cProfile.Profile()
        profile.runcall(prepare, [folder], tmp_path / f"set{count}", processes=1)
        calls.append(pstats.Stats(profile).total_calls)
    assert calls[1] < 4.4 * calls[0]


def test_one_input_needs_no_list_and_errors_say_the_words_of_python(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"text {name}")
    made = prepare(str(tmp_path / "a.txt"), tmp_path / "set", val=tmp_path / "b.txt")
    assert (made["train"]["documents"], made["val"]["documents"]) == (1, 1)
    with pytest.raises(cllm.InputError, match=r"already holds .* or force=True to replace it"):
        prepare(tmp_path / "a.txt", tmp_path / "set")
    with pytest.raises(cllm.InputError, match=r"^val_fraction: got 2, "):
        prepare(tmp_path / "a.txt", tmp_path / "other", val_fraction=2)
    with pytest.raises(cllm.InputError, match=r"^inputs: nothing to prepare"):
        prepare([], tmp_path / "other")


def test_the_command_and_training_on_its_files(corpus, tmp_path):
    from cllm import cli
    from typer.testing import CliRunner

    out = tmp_path / "set"
    result = CliRunner().invoke(cli.app, ["prepare", str(corpus[0]), "--out", str(out),
                                          "--tokenizer", "bpe:300", "--quiet"])
    assert result.exit_code == 0 and "40 documents" not in result.output
    assert "tokens of" in result.output and "vocabulary 300" in result.output
    assert "cllm train" not in result.output
    config = cllm.TrainConfig(data=out / "train-00000.bin", val=out / "val-00000.bin", layers=1,
                              heads=2, dim=16, seq=16, batch=2, steps=2, out=tmp_path / "run",
                              workers=1)
    assert cllm.Trainer(config).run() is cllm.RunOutcome.FINISHED
    again = CliRunner().invoke(cli.app, ["prepare", str(corpus[0]), "--out", str(out)])
    assert again.exit_code == 2 and "already holds a data set" in again.output
    forced = CliRunner().invoke(cli.app, ["prepare", str(corpus[0]), "--out", str(out), "--force"])
    assert f"cllm train --data {out} --out run\n" in forced.output


def test_progress_is_told_where_it_is_asked_for(corpus, tmp_path, capsys, monkeypatch):
    """Without being asked, on a terminal and in a notebook."""
    notebook = importlib.import_module("cllm._notebook")
    for number, (asked, here, told) in enumerate([
            (None, False, False), (True, False, True), (None, True, True), (False, True, False)]):
        monkeypatch.setattr(notebook, "is_here", lambda here=here: here)
        prepare(corpus[0], tmp_path / f"set-{number}", tokenizer="bpe:300", processes=1,
                progress=asked)
        assert ("training a tokenizer of 300" in capsys.readouterr().err) == told
