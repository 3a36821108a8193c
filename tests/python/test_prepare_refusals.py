"""What `cllm prepare` cannot do is one line that says why; nothing is written."""

import gzip
import importlib
import json
import os

import pytest
from conftest import contents

cllm = pytest.importorskip("cllm")
pytest.importorskip("numpy")
pytest.importorskip("tokenizers")
pytest.importorskip("typer")
zstandard = pytest.mark.skipif(not importlib.util.find_spec("zstandard"), reason="zstandard")
pyarrow = pytest.mark.skipif(not importlib.util.find_spec("pyarrow"), reason="pyarrow")

GOOD = '{"text": "some words"}\n'
TOKENIZER = {"version": "1.0", "added_tokens": [], "model": {
    "type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}
TABLE = "id,text\n1,one\n"


def packed(kind, text):
    return importlib.import_module(kind).compress(text.encode() * 900)


def table(_):
    library = importlib.import_module("pyarrow")
    sink = library.BufferOutputStream()
    importlib.import_module("pyarrow.parquet").write_table(
        library.table({"id": [1], "body": ["x"]}), sink)
    return sink.getvalue().to_pybytes()


# Files {name: content}, what is typed after `prepare`, what is said. "" is an empty folder.
CASES = {
    "no input": ({}, "--out set", "Missing argument 'INPUT...'"),
    "no output": ({"a.txt": "x"}, "a.txt", "Missing option '--out'"),
    "missing file": ({}, "a.txt --out set", "a.txt: cannot be read: no such file"),
    "broken link": ({"a.txt": None}, "a.txt --out set", "a.txt: cannot be read: no such file"),
    "empty folder": ({"in/": ""}, "in --out set", "in: nothing to read in this folder"),
    "folder of other things": ({"in/a.png": b"\x89PNG"}, "in --out set", "nothing to read in this"),
    "pattern without file": ({"a.txt": "x"}, "*.csv --out set", "*.csv: no file fits this pattern"),
    "device": ({}, "/dev/null --out set", "/dev/null: cannot be read: a device or pipe"),
    "empty files": ({"a.txt": "", "b.jsonl": "\n"}, ". --out ../set", "every input is empty"),
    "zero bytes": ({"a.txt": b"text\0more"}, "a.txt --out set", "a.txt: no text: got a zero byte"),
    "binary file": ({"a.txt": bytes(range(128, 256))}, "a.txt --out set",
                    "a.txt: not utf-8 at byte 0: got 0x80"),
    "undecodable byte": ({"a.txt": b"abc \xff d"}, "a.txt --out set", "byte 4: got 0xff"),
    "cut character": ({"a.txt": b"\xff\xfea\0b"}, "a.txt --out set", "not utf-16-le at byte 4"),
    "unknown encoding": ({"a.txt": "x"}, "a.txt --out set --encoding utf-9", 'got "utf-9"'),
    "no encoding of texts": ({"a.txt": "x"}, "a.txt --out set --encoding hex", 'got "hex"'),
    "unknown way with errors": ({"a.txt": "x"}, "a.txt --out set --errors ignore",
                                '--errors: got "ignore", expected strict or replace'),
    "wrong field": ({"a.jsonl": GOOD}, "a.jsonl --out set --field body",
                    'a.jsonl: line 1 has no field "body": got text'),
    "no field of the usual name": ({"a.jsonl": '{"body": ""}'}, "a.jsonl --out set",
                                   "expected --field with the name of the text"),
    "ragged line": ({"a.jsonl": GOOD * 2 + '{"text": "cut'}, "a.jsonl --out set",
                    "a.jsonl: line 3 is no JSON"),
    "a number for a text": ({"a.jsonl": GOOD + '{"text": 7}'}, "a.jsonl --out set",
                            'line 2: field "text" is no text: got int'),
    "half a character": ({"a.jsonl": '{"text": "\\ud800"}'}, "a.jsonl --out set",
                         "line 1: half a character"),
    "no such column": ({"a.csv": TABLE}, "a.csv --out set --field body",
                       'the first line has no field "body": got id, text'),
    "ragged row": ({"a.csv": TABLE + "2\n"}, "a.csv --out set", "line 3: got 1 column"),
    "open quote": ({"a.csv": TABLE + '2,"open'}, "a.csv --out set", "line 3: no CSV"),
    "no SQuAD": ({"a.json": '{"data": [{}]}'}, "a.json --out set", "a.json: no SQuAD"),
    "no archive": ({"a.txt.gz": "plain"}, "a.txt.gz --out set", "a.txt.gz: damaged or cut short"),
    "cut archive": ({"a.txt.gz": gzip.compress(os.urandom(999).hex().encode())[:-99]},
                    "a.txt.gz --out set", "a.txt.gz: damaged or cut short"),
    "cut zst": ({"a.txt.zst": lambda _: packed("zstandard", "words ")[:-9]},
                "a.txt.zst --out set", "a.txt.zst: damaged or cut short", zstandard),
    "no zst": ({"a.zst": "plain"}, "a.zst --out set", "a.zst: damaged or cut short", zstandard),
    "Parquet without the column": ({"a.parquet": table}, "a.parquet --out set",
                                   'has no field "text": got id, body', pyarrow),
    "Parquet of numbers": ({"a.parquet": table}, "a.parquet --out set --field id",
                           'row 0: field "id" is no text: got int', pyarrow),
    "no Parquet": ({"a.parquet": "PAR1"}, "a.parquet --out set", "cannot be read as Parquet",
                   pyarrow),
    "no tokenizer": ({"a.txt": "x"}, "a.txt --out set --tokenizer words",
                     "--tokenizer: no such tokenizer: got words, expected bytes, chars"),
    "tokenizer of the Hub": ({"a.txt": "x"}, "a.txt --out set --tokenizer me/mine",
                             'AutoTokenizer.from_pretrained("me/mine").save_pretrained(FOLDER)'),
    "small vocabulary": ({"a.txt": "x"}, "a.txt --out set --tokenizer bpe:256", "expected 257"),
    "large vocabulary": ({"a.txt": "x"}, "a.txt --out set --tokenizer bpe:9999999", "to 1048576"),
    "folder without tokenizer": ({"a.txt": "x", "t/config.json": "{}"},
                                 "a.txt --out set --tokenizer t", "no such tokenizer: got t"),
    "damaged tokenizer": ({"a.txt": "x", "t.json": "{"}, "a.txt --out set --tokenizer t.json",
                          "t.json: the tokenizer cannot be read"),
    "unknown end": ({"a.txt": "x", "t.json": json.dumps(TOKENIZER)},
                    "a.txt --out set --tokenizer t.json", "expected --end-of-text TOKEN"),
    "an end that is not there": ({"a.txt": "x", "t.json": json.dumps(TOKENIZER)},
                                 "a.txt --out set --tokenizer t.json --end-of-text <e>",
                                 "got none of <e>"),
    "lists of another model": (
        {"a.txt": "x", "t/vocab.json": "{}", "t/merges.txt": "",
         "t/tokenizer_config.json": '{"tokenizer_class": "Qwen2Tokenizer"}'},
        "a.txt --out set --tokenizer t", "got Qwen2Tokenizer without tokenizer.json"),
    "damaged lists": ({"a.txt": "x", "t/vocab.json": "[", "t/merges.txt": ""},
                      "a.txt --out set --tokenizer t", "t: the tokenizer cannot be read"),
    "damaged settings": ({"a.txt": "x", "t/tokenizer.json": json.dumps(TOKENIZER),
                          "t/tokenizer_config.json": "[]"}, "a.txt --out set --tokenizer t",
                         "t/tokenizer_config.json: no object of settings"),
    "fraction": ({"a.txt": "x"}, "a.txt --out set --val-fraction 1", "got 1.0, expected 0 (none)"),
    "no number": ({"a.txt": "x"}, "a.txt --out set --val-fraction some",
                  "Invalid value for '--val-fraction'"),
    "processes": ({"a.txt": "x"}, "a.txt --out set --processes 0", "got 0, expected 1 to 1024"),
    "both": ({"a.txt": "x"}, "a.txt --out set --val a.txt", "is to train and to validate"),
    "nothing left": ({"a.txt": "x", "b.txt": "x"}, "a.txt --out set --val b.txt",
                     "a.txt: nothing to train on: every document stands in the validation files"),
    "missing validation": ({"a.txt": "x"}, "a.txt --out set --val b.txt", "b.txt: cannot be read"),
    "output is a file": ({"a.txt": "x", "set": "mine"}, "a.txt --out set", "set: is a file"),
    "output below a file": ({"a.txt": "x"}, "a.txt --out a.txt/set", "cannot be written: Not a"),
    "unwritable output": ({"a.txt": "x"}, "a.txt --out /proc/some/set", "cannot be written"),
    "output holds other things": ({"a.txt": "x", "set/mine": ""}, "a.txt --out set",
                                  "set: is not empty and holds no data set"),
    "other things by force": ({"a.txt": "x", "set/mine": ""}, "a.txt --out set --force",
                              "set: is not empty and holds no data set"),
    "another's description": ({"a.txt": "x", "set/dataset.json": "{}"}, "a.txt --out set --force",
                              "set/dataset.json: no description of a data set"),
    "existing data set": ({"a.txt": "x", "set/dataset.json": "{}"}, "a.txt --out set",
                          "already holds a data set: expected a new folder, or --force"),
    "folder of the output": ({"set/a.txt": "x"}, "set --out set", "set: is to be read and lies in"),
    "folder of .json": ({"in/a.json": "{}"}, "in --out set", "where it is named itself"),
    "input in the output": ({"set/a.txt": "x"}, "set/a.txt --out set", "lies in the output folder"),
    "a name of any bytes": ({"a\udcff.txt": "x"}, "a\udcff.txt --out set",
                            "a\\xff.txt: a name that is not UTF-8: expected one that is: rename"),
    "a validating name": ({"a.txt": "x", "b\udcff.txt": "y"}, "a.txt --out set --val b\udcff.txt",
                          "b\\xff.txt: a name that is not UTF-8"),
    "unknown option": ({"a.txt": "x"}, "a.txt --out set --tokeniser x",
                       "unknown option: got --tokeniser (did you mean --tokenizer?)"),
}


@pytest.mark.parametrize("files, typed, said", [
    pytest.param(*case[:3], id=name, marks=case[3:]) for name, case in CASES.items()])
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, monkeypatch, capfd, files, typed,
                                                      said):
    from cllm import _process, cli

    place = tmp_path / "place"
    place.mkdir()
    for name, content in files.items():
        path = place / name
        if name.endswith("/"):
            path.mkdir()
            continue
        path.parent.mkdir(exist_ok=True)
        if content is None:
            path.symlink_to("nowhere")
            continue
        content = content(None) if callable(content) else content
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(place)

    def found():
        return {str(path): (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes())
                for path in [tmp_path, *tmp_path.rglob("*")]}

    before = found()
    monkeypatch.setattr("sys.argv", ["cllm", "prepare", *typed.split(" ")])
    code = _process.run(cli.app)
    importlib.import_module("signal").signal(2, importlib.import_module("signal").SIG_DFL)
    shown = capfd.readouterr()
    assert code == 2 and not shown.out
    assert said in shown.err and shown.err.startswith("cllm: ") and shown.err.count("\n") == 1
    now = found()
    assert now.keys() == before.keys()
    assert {path: now[path][1] for path in now} == {path: before[path][1] for path in now}


def test_there_are_many_bad_inputs():
    assert len(CASES) >= 50


def test_bad_input_that_shows_up_late_leaves_nothing(tmp_path, monkeypatch):
    tokenizers = importlib.import_module("cllm.prepare.tokenizers")
    pieces = importlib.import_module("cllm.prepare.pieces")
    prepare = importlib.import_module("cllm.prepare").prepare
    monkeypatch.setattr(tokenizers, "cuts_exactly", lambda ids: False)
    monkeypatch.setattr(pieces, "PIECE", 40)
    monkeypatch.setattr(pieces, "WHOLE", 50)
    made = tokenizers.of_bytes()
    (tmp_path / "t.json").write_text(made.json)
    (tmp_path / "a.txt").write_text("some words " * 9)
    with pytest.raises(cllm.InputError, match=r"a\.txt: a document has more than 50 characters"):
        prepare([tmp_path / "a.txt"], tmp_path / "deep/set", tokenizer=tmp_path / "t.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "t.json"]
    prepare([tmp_path / "a.txt"], tmp_path / "set")
    before = contents(tmp_path / "set")
    with pytest.raises(cllm.InputError, match="more than 50"):
        prepare([tmp_path / "a.txt"], tmp_path / "set", tokenizer=tmp_path / "t.json", force=True)
    assert contents(tmp_path / "set") == before and not (tmp_path / "set/.prepare").exists()
