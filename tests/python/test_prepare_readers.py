"""What `cllm prepare` reads: kinds of files, packed or not, encodings, folders, and bad inputs."""

import gzip
import importlib
import json
import os
import tracemalloc
from pathlib import Path

import pytest
from conftest import needs

cllm = pytest.importorskip("cllm")
decoding = importlib.import_module("cllm.prepare.decoding")
inputs = importlib.import_module("cllm.prepare.inputs")
readers = importlib.import_module("cllm.prepare.readers")

SQUAD = Path(__file__).resolve().parents[3] / "shared/data/squad_dev_v2.json.gz"


def documents(path, **reading):
    """The texts of a file, one a document."""
    whole, parts = [], []
    for text, ends in readers.InputFile(str(path), readers.Reading(**reading)).chunks():
        parts.append(text)
        if ends:
            whole.append("".join(parts))
            parts = []
    assert not parts, "the last document has no end"
    return whole


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


ROWS = ["first", "", 'second, with "quotes"\nand ünïcode 🎉']
AS_JSONL = "".join(json.dumps({"id": 1, "text": row}) + "\n" for row in ROWS)
AS_CSV = "id,text\r\n" + "".join('1,"' + row.replace('"', '""') + '"\r\n' for row in ROWS)


@pytest.mark.parametrize("name, content", [
    ("a.jsonl", AS_JSONL), ("a.ndjson", AS_JSONL.replace("\n", "\n\n")), ("a.csv", AS_CSV),
    ("a.tsv", AS_CSV.replace("1,", "1\t").replace("id,", "id\t"))])
def test_records_are_documents(tmp_path, name, content):
    assert documents(write(tmp_path / name, content)) == ROWS
    packed = tmp_path / (name + ".gz")
    packed.write_bytes(gzip.compress(content.encode()))
    assert documents(packed) == ROWS


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.unknown", "A.TXT"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_text_is_one_document_whatever_its_mark(tmp_path, name, encoding):
    text = "To be, or nöt 🎉\r\nto be\n" * 3
    assert documents(write(tmp_path / name, text.encode(encoding))) == [text]


def test_named_encodings_and_unmarked_utf16(tmp_path):
    text = "für, naïve"
    assert documents(write(tmp_path / "a.txt", text.encode("cp1252")), encoding="cp1252") == [text]
    unmarked = write(tmp_path / "b.txt", "plain".encode("utf-16-be"))
    assert documents(unmarked, encoding="utf-16-be") == ["plain"]
    with pytest.raises(cllm.InputError, match=r"b\.txt: .*byte 0.*encoding=.utf-16-le."):
        documents(unmarked)
    with pytest.raises(cllm.InputError, match="unknown"):
        decoding.check_encoding("utf-9")


@pytest.mark.parametrize("before", [0, 5, decoding.BLOCK - 2, decoding.BLOCK, decoding.BLOCK + 7])
def test_an_undecodable_byte_is_named_by_file_and_offset(tmp_path, before):
    content = b"\xc3\xa4" * (before // 2) + b"a" * (before % 2) + b"\xff tail"
    bad = write(tmp_path / "bad.txt", content)
    with pytest.raises(cllm.InputError, match=rf"bad\.txt: not utf-8 at byte {before}: got 0xff"):
        documents(bad)
    file = readers.InputFile(str(bad), readers.Reading(errors="replace"))
    assert "".join(text for text, _ in file.chunks()).endswith("\ufffd tail")
    assert file.replaced() == 1


def test_a_cut_character_at_the_end_has_its_offset(tmp_path):
    with pytest.raises(cllm.InputError, match="at byte 3: got 0xe2 0x82"):
        documents(write(tmp_path / "a.txt", b"abc\xe2\x82"))
    with pytest.raises(cllm.InputError, match="at byte 5: got 0xff"):
        documents(write(tmp_path / "b.txt", b"\xef\xbb\xbfab\xff"))


@pytest.mark.parametrize("name, content, said", [
    ("a.txt", b"text\0more", "no text: got a zero byte at about byte 4"),
    ("a.jsonl", '{"text": "a"}\n{"body": "b"}\n', 'line 2 has no field "text": got body'),
    ("a.jsonl", '{"text": "a"}\n\n{"text": \n', "line 3 is no JSON"),
    ("a.jsonl", '{"text": 7}\n', 'line 1: field "text" is no text: got int'),
    ("a.jsonl", '{"text": "\\ud800"}\n', "line 1: half a character"),
    ("a.jsonl", "[" * 100000, "line 1 is no JSON"),
    ("a.csv", "a,b\n1,2\n", 'no field "text": got a, b'),
    ("a.csv", "a,text\n1,2\n3\n", "line 3: got 1 columns, expected 2"),
    ("a.csv", 'text\n"open', "no CSV"),
    ("a.csv", '\n"two\nlines",b\n1,2\n', r'no field "text": got two\nlines, b'),
    ("a.jsonl", json.dumps({"name " * 9999: 1, "\x9b2J": 2}), 'no field "text": got name name'),
    ("a.csv", "\n\na,b\n", 'no field "text": got a, b'),
    ("a.json", '{"data": [{"title": "x"}]}', "no SQuAD: KeyError 'paragraphs'"),
    ("a.json", "[1, 2]", "no SQuAD"),
    ("a.json", "text", "no SQuAD"),
    ("a.txt.gz", b"plain text", "damaged or cut short"),
    ("a.txt.gz", gzip.compress(os.urandom(4000).hex().encode())[:-900], "damaged or cut short"),
])
def test_bad_inputs_say_where(tmp_path, name, content, said):
    with pytest.raises(cllm.InputError) as caught:
        documents(write(tmp_path / name, content))
    assert said in str(caught.value) and name in str(caught.value)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 2000


def test_another_field_and_the_only_column(tmp_path):
    rows = write(tmp_path / "a.jsonl", '{"body": "b", "text": "t"}\n"bare"\n')
    with pytest.raises(cllm.InputError, match="line 2"):
        documents(rows, field="body")
    assert documents(rows) == ["t", "bare"]
    assert documents(write(tmp_path / "a.csv", "\r\nbody\none\n\ntwo\n")) == ["one", "two"]


def test_dots_lead_into_records(tmp_path):
    rows = write(tmp_path / "a.jsonl", '{"id": 1, "a": {"b": {"c": "deep"}}}\n{"a.b.c": "flat"}\n')
    assert documents(rows, field="a.b.c") == ["deep", "flat"]
    for field in ("a.b.d", "a.b.c.d", "id.b", "."):
        with pytest.raises(cllm.InputError, match=rf'no field "{field}": got id, a\.b\.c, '):
            documents(rows, field=field)
    with pytest.raises(cllm.InputError, match="is no text: got dict"):
        documents(rows, field="a.b")


@needs("zstandard")
def test_zstandard_and_its_damage(tmp_path):
    zstandard = importlib.import_module("zstandard")
    packed = zstandard.compress(AS_JSONL.encode()) * 2  # two frames
    assert documents(write(tmp_path / "a.jsonl.zst", packed)) == ROWS * 2
    with pytest.raises(cllm.InputError, match="damaged or cut short"):
        documents(write(tmp_path / "b.txt.zst", b"no frame at all"))


@needs("pyarrow")
def test_parquet_and_its_columns(tmp_path):
    pyarrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"id": [1, 2, 3], "text": ROWS}), tmp_path / "a.parquet")
    assert documents(tmp_path / "a.parquet") == ROWS
    with pytest.raises(cllm.InputError, match='no field "body": got id, text'):
        documents(tmp_path / "a.parquet", field="body")
    with pytest.raises(cllm.InputError, match="row 0"):
        documents(tmp_path / "a.parquet", field="id")
    with pytest.raises(cllm.InputError, match="cannot be read as Parquet"):
        documents(write(tmp_path / "b.parquet", b"PAR1 and nothing"))
    latin = pyarrow.array([b"f\xfcr"]).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"text": latin}), tmp_path / "c.parquet")
    with pytest.raises(cllm.InputError, match=r"c\.parquet: cannot be read as Parquet: .*utf-8"):
        documents(tmp_path / "c.parquet")


@pytest.mark.parametrize("name, package", [("a.parquet", "pyarrow"), ("a.zst", "zstandard")])
def test_a_missing_package_is_one_line(tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(cllm.InputError, match=f"pip install {package}$"):
        documents(write(tmp_path / name, "x"))


def test_squad_is_contexts_with_their_questions(tmp_path):
    asked = [{"question": "Who? ", "answers": [{"text": "She"}, {"text": "she"}]},
             {"question": "When?", "answers": [], "is_impossible": True}]
    content = {"version": "v2.0", "data": [{"title": "T", "paragraphs": [
        {"context": "She came.", "qas": asked}, {"context": "Nothing asked.", "qas": []}]}]}
    assert documents(write(tmp_path / "a.json", json.dumps(content))) == [
        "She came.\n\nQuestion: Who?\nAnswer: She\n\nQuestion: When?\nAnswer: unanswerable\n",
        "Nothing asked.\n"]
    for wrong, said in ((3, "no SQuAD"), ("half \ud800", "paragraph 1: half a character")):
        content["data"][0]["paragraphs"][0]["context"] = wrong
        with pytest.raises(cllm.InputError, match=said):
            documents(write(tmp_path / "b.json", json.dumps(content)))


@pytest.mark.skipif(not SQUAD.exists(), reason="no real SQuAD here")
def test_real_squad():
    texts = documents(SQUAD)
    assert len(texts) > 100 and sum(text.count("\nQuestion: ") for text in texts) > len(texts)


def test_files_come_once_in_a_stable_order(tmp_path):
    for name in ("b.txt", "a.md", "sub/c.jsonl.gz", "sub/.hidden.txt", ".git/d.txt", "e.png",
                 "z"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (tmp_path / "link.txt").symlink_to(tmp_path / "b.txt")

    def names(*given):
        found = inputs.find_files(given, tmp_path.parent / "out")
        return [str(Path(name).relative_to(tmp_path)) for name in found]

    assert names(tmp_path) == ["a.md", "b.txt", "sub/c.jsonl.gz"]
    assert names(tmp_path / "z", tmp_path / "b.txt", tmp_path) == ["z", "b.txt", "a.md",
                                                                    "sub/c.jsonl.gz"]
    assert names(f"{tmp_path}/*.txt", f"{tmp_path}/**/*.gz") == ["b.txt", "sub/c.jsonl.gz"]
    (tmp_path / "empty").mkdir()
    for wrong in ("empty", "none.txt", "*.csv"):
        with pytest.raises(cllm.InputError, match=r"nothing to read|no such file|no file fits"):
            names(f"{tmp_path}/{wrong}")


def test_a_folder_is_read_without_what_is_made_in_it(tmp_path, monkeypatch):
    made = ("set/dataset.json", "set/tokenizer.json", "set/notes.txt", "run/config.toml",
            "run/metrics.jsonl", "run/final/config.json", "run/final/merges.txt",
            "model/config.json", "model/model.safetensors", "model/merges.txt")
    for name in ("a.txt", "sub/b.md", "sub/config.toml", "package.json", "out/c.txt", *made):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link.txt").symlink_to("out/c.txt")
    monkeypatch.chdir(tmp_path)
    assert inputs.find_files(["."], "out") == ["./a.txt", "./sub/b.md"]
    assert inputs.find_files(["*.txt"], "./out/../out/") == ["a.txt"]
    assert inputs.find_files(["*.txt", "package.json"]) == ["a.txt", "link.txt", "package.json"]
    for wrong, said in (("out", "lies in the output folder"), ("out/*", "no file fits"),
                        ("out/c.txt", "lies in the output"), ("link.txt", "lies in the output")):
        with pytest.raises(cllm.InputError, match=said):
            inputs.find_files([wrong], "out")


def test_names_of_fields_are_quoted_in_short(tmp_path):
    """An unseen character takes ten when it is written out."""
    name = "\U000e0001" * 4000
    (tmp_path / "a.csv").write_text(f"{name},{name}x\n1,2\n")
    (tmp_path / "a.jsonl").write_text(json.dumps({name: 1}) + "\n")
    for file in ("a.csv", "a.jsonl"):
        with pytest.raises(cllm.InputError) as caught:
            documents(tmp_path / file)
        said = str(caught.value)
        assert len(said) < 500 and said.endswith("with the name of the text"), said


def test_one_line_of_many_megabytes_takes_little_memory(tmp_path):
    (tmp_path / "long.txt").write_bytes(b"word " * (4 << 20))
    file = readers.InputFile(str(tmp_path / "long.txt"), readers.Reading())
    tracemalloc.start()
    read = sum(len(text) for text, _ in file.chunks())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == 20 << 20 and most < 16 << 20
