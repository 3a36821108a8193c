"""The files that people keep examples in: their forms, their names, how they are read."""

import gzip
import importlib.util
import io
import json
import threading
from pathlib import Path

import pytest
from conftest import needs

pytestmark = needs("cllm", "jinja2", "tokenizers")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
from chat_models import model_of, said, trained_text, write_lines  # noqa: E402
from cllm.chat import open_chats  # noqa: E402
from cllm.chat.example import Completion, Conversation, Text  # noqa: E402
from cllm.chat.folders import find_chats  # noqa: E402
from cllm.chat.formats import example_of, format_of  # noqa: E402
from cllm.prepare import readers  # noqa: E402
from cllm.prepare.readers import InputFile, Reading  # noqa: E402

SYSTEM = {"role": "system", "content": "be brief"}
CALL = {"name": "add", "arguments": {"a": 7}}
CALLED = {"role": "assistant", "content": "", "tool_calls": [
    {"type": "function", "function": CALL}]}


def turns(*pairs):
    return [{"from": speaker, "value": value} for speaker, value in pairs]


# A record, its form, the example in it.
RECORDS = [
    ({"messages": said("q", "a")}, "messages", Conversation(said("q", "a"))),
    ({"messages": said("q", "a"), "prompt": "q", "prompt_id": 7}, "messages",
     Conversation(said("q", "a"))),
    ({"messages": said("q", "a", system="be brief"), "system": "x"}, "messages",
     Conversation(said("q", "a", system="be brief"))),
    ({"messages": said("q", "a"), "system": "be brief", "tools": [CALL]}, "messages",
     Conversation(said("q", "a", system="be brief"), [CALL])),
    ({"messages": said("q", "a"), "tools": json.dumps([CALL])}, "messages",
     Conversation(said("q", "a"), [CALL])),
    ({"messages": said("q", "a"), "tools": "", "system": None}, "messages",
     Conversation(said("q", "a"))),
    ({"messages": json.dumps(said("q", "a"))}, "messages", Conversation(said("q", "a"))),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "q"},
                                                {"type": "text", "text": "!"}], "name": None},
                   {"role": "assistant", "content": None, "tool_calls": [CALL]}]}, "messages",
     Conversation([{"role": "user", "content": "q!"},
                   {"role": "assistant", "tool_calls": [CALL]}])),
    ({"conversations": turns(("human", "q"), ("gpt", "a"))}, "sharegpt",
     Conversation(said("q", "a"))),
    ({"conversations": turns(("system", "be brief"), ("user", "q"), ("assistant", "a"))},
     "sharegpt", Conversation(said("q", "a", system="be brief"))),
    ({"system": "be brief", "conversations": said("q", "a"), "tools": []}, "sharegpt",
     Conversation(said("q", "a", system="be brief"))),
    ({"conversations": turns(("human", "q"), ("function_call", json.dumps(CALL)),
                             ("observation", "12"), ("gpt", "a"))}, "sharegpt",
     Conversation([*said("q"), CALLED, {"role": "tool", "content": "12"}, said("q", "a")[1]])),
    ({"messages": [*said("q"), {"role": "assistant", "tool_calls": [
        {"type": "function", "function": CALL | {"arguments": '{"a": 7}'}}], "content": ""}]},
     "messages", Conversation([*said("q"), CALLED])),
    ({"messages": [*said("q"), {"role": "assistant", "tool_calls": [
        CALL | {"arguments": '{"a": 7}'}, CALL | {"arguments": "[7]"}, CALL | {"arguments": "a=7"},
        CALL | {"arguments": '{"a": "\\ud800"}'}, "add"]}]},
     "messages", Conversation([*said("q"), {"role": "assistant", "tool_calls": [
         CALL, CALL | {"arguments": "[7]"}, CALL | {"arguments": "a=7"},
         CALL | {"arguments": '{"a": "\\ud800"}'}, "add"]}])),
    ({"conversations": turns(("human", "q"), ("function_call", json.dumps(
        CALL | {"arguments": '{"a": 7}'})))}, "sharegpt", Conversation([*said("q"), CALLED])),
    ({"conversations": turns(("human", "q"), ("function_call", "add(7)"))}, "sharegpt",
     Conversation(said("q", "add(7)"))),
    ({"conversations": [{"from": "human", "value": "q"},
                        {"from": "gpt", "value": "a", "weight": 0}]}, "sharegpt",
     Conversation([said("q")[0], {"role": "assistant", "content": "a", "weight": 0}])),
    ({"prompt": "q", "completion": "a"}, "prompt", Completion("q", "a")),
    ({"prompt": None, "completion": "a", "text": "qa"}, "prompt", Completion("", "a")),
    ({"prompt": said("q"), "completion": said("q", "a")[1:]}, "prompt",
     Conversation(said("q", "a"), None, 1)),
    ({"prompt": said("q"), "completion": said("q", "a")[1:], "system": "be brief"}, "prompt",
     Conversation(said("q", "a", system="be brief"), None, 2)),
    ({"instruction": "q", "output": "a"}, "alpaca", Conversation(said("q", "a"))),
    ({"instruction": "q", "input": "in", "output": "a", "text": "all of it"}, "alpaca",
     Conversation(said("q\nin", "a"))),
    ({"instruction": "", "input": "in", "output": "a", "system": ""}, "alpaca",
     Conversation(said("in", "a"))),
    ({"instruction": "q", "input": None, "output": "a", "system": "be brief",
      "history": [["one", "1"], ["two", "2"]]}, "alpaca",
     Conversation(said("one", "1", "two", "2", "q", "a", system="be brief"))),
    ({"text": "all of it", "id": 7}, "text", Text("all of it")),
    ("all of it", "text", Text("all of it")),
]


@pytest.mark.parametrize("record, form, wanted", RECORDS)
def test_the_form_is_told_by_the_keys(record, form, wanted):
    before = json.dumps(record)
    assert format_of(record, "line 1") == form
    assert example_of(record, form, "line 1") == wanted
    assert json.dumps(record) == before, "a record stays as it was read"


def test_a_form_can_be_asked_for(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", {"messages": said("q", "a"), "text": "t",
                                              "instruction": "i", "output": "o"})
    model = model_of(tmp_path / "model", "smollm")
    for form, wanted in ((None, ["a<|im_end|>\n"]), ("alpaca", ["o<|im_end|>\n"]),
                         ("text", ["t<|im_end|>"])):
        chats = open_chats(file, model, format=form)
        assert chats.train.format == (form or "messages")
        assert [trained_text(example, chats.encoder.tokenizer) for example in chats.train] == [
            wanted]


# -- files --------------------------------------------------------------------------------------

ROWS = [{"prompt": "q", "completion": " a", "n": 1}, {"prompt": "", "completion": "“é🎉”\n"}]


def records(path, **reading):
    return list(InputFile(str(path), Reading(**reading)).records())


@pytest.mark.parametrize("name, content, places", [
    ("a.jsonl", "\n".join(map(json.dumps, ROWS)) + "\n\n", ["line 1", "line 2"]),
    ("a.ndjson", json.dumps(ROWS[0]) + "\r\n\r\n" + json.dumps(ROWS[1]), ["line 1", "line 3"]),
    ("a.json", json.dumps(ROWS, indent=1), ["record 1", "record 2"]),
    ("a.json", "\n".join(map(json.dumps, ROWS)), ["line 1", "line 2"]),
    ("a.unknown", "\n".join(map(json.dumps, ROWS)), ["line 1", "line 2"])])
def test_records_come_with_their_places(name, content, places, tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / name).write_bytes(content.encode(encoding))
        assert records(tmp_path / name) == list(zip(places, ROWS, strict=True))
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    assert records(packed) == list(zip(places, ROWS, strict=True))


def test_one_object_is_one_record(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(ROWS[0], indent=2))
    assert records(tmp_path / "a.json") == [("record 1", ROWS[0])]


def test_rows_of_tables_are_records(tmp_path):
    (tmp_path / "a.csv").write_text('prompt,completion\nq,"a\nb"\n\n,“é”\n')
    assert records(tmp_path / "a.csv") == [
        ("line 3", {"prompt": "q", "completion": "a\nb"}),
        ("line 5", {"prompt": "", "completion": "“é”"})]
    (tmp_path / "a.tsv").write_text("prompt\tcompletion\n")
    assert records(tmp_path / "a.tsv") == []


@pytest.mark.skipif(not importlib.util.find_spec("pyarrow"), reason="pyarrow")
def test_parquet_holds_messages(tmp_path):
    pyarrow = importlib.import_module("pyarrow")
    table = pyarrow.table({"messages": [said("q", "a"), said("é", "b")], "n": [1, 2]})
    importlib.import_module("pyarrow.parquet").write_table(table, tmp_path / "a.parquet")
    assert records(tmp_path / "a.parquet") == [
        ("row 0", {"messages": said("q", "a"), "n": 1}),
        ("row 1", {"messages": said("é", "b"), "n": 2})]


@pytest.mark.skipif(not importlib.util.find_spec("pyarrow"), reason="pyarrow")
@pytest.mark.parametrize("form, wrong", [("prompt", '"prompt" is no text: got int'),
                                         ("messages", 'has no "messages"')])
def test_parquet_that_is_left_early_has_no_threads_and_is_closed(form, wrong, tmp_path,
                                                                 monkeypatch):
    """Threads that still read when Python ends abort the process, in about half of the runs."""
    pyarrow = importlib.import_module("pyarrow")
    table = pyarrow.table({"prompt": [1, 2], "completion": ["a", "b"]})
    importlib.import_module("pyarrow.parquet").write_table(table, tmp_path / "a.parquet")
    threads, opened = set(), []

    class File(io.BytesIO):
        def read(self, size=-1):
            threads.add(threading.get_ident())
            return super().read(size)

    def open_file(name, _):
        opened.append(File(Path(name).read_bytes()))
        return opened[-1]

    monkeypatch.setattr(readers, "open", open_file, raising=False)
    with pytest.raises(cllm.InputError, match=f"row 0:? {wrong}"):
        open_chats(tmp_path / "a.parquet", model_of(tmp_path / "model", "smollm"), format=form)
    assert threads == {threading.get_ident()}
    assert len(opened) == 1 and opened[0].closed


def test_columns_of_one_name_are_refused(tmp_path):
    """A record would hold the last of them, without a word."""
    twice = "several columns of one name: got 'completion' 2 times, expected a name for each"
    (tmp_path / "a.csv").write_text("prompt,completion,completion,,\nq,a,b,,\n")
    with pytest.raises(cllm.InputError, match=rf"a\.csv: {twice}"):
        records(tmp_path / "a.csv")
    file = InputFile(str(tmp_path / "a.csv"), Reading("completion"))
    with pytest.raises(cllm.InputError, match=twice):
        list(file.chunks())
    assert list(InputFile(file.name, Reading("prompt")).chunks()) == [("q", True)]
    if not importlib.util.find_spec("pyarrow"):
        return
    pyarrow = importlib.import_module("pyarrow")
    table = pyarrow.table([["q"], ["a"], ["b"]], names=["prompt", "completion", "completion"])
    importlib.import_module("pyarrow.parquet").write_table(table, tmp_path / "a.parquet")
    for read in (records, lambda path: list(InputFile(str(path), Reading("completion")).chunks())):
        with pytest.raises(cllm.InputError, match=twice):
            read(tmp_path / "a.parquet")


def test_halves_of_characters_are_refused_or_replaced(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"messages": [{"role": "user", "content": "\\ud800x"}]}\n')
    with pytest.raises(cllm.InputError, match="line 1: half a character"):
        records(file)
    read = InputFile(str(file), Reading(errors="replace"))
    assert [record["messages"][0]["content"] for _, record in read.records()] == ["\ufffdx"]
    assert read.replaced() == 1


def test_a_deep_record_is_an_error(tmp_path):
    file = tmp_path / "a.jsonl"
    for depth, why in ((900, "nested too deeply"), (100000, "no JSON")):
        file.write_text(f'{{"a": {"[" * depth}{"]" * depth}}}\n')
        with pytest.raises(cllm.InputError, match=f"line 1 is {why}"):
            records(file)


# -- folders ------------------------------------------------------------------------------------

@pytest.mark.parametrize("names, train, validation, passed", [
    ("train.jsonl valid.jsonl test.jsonl", "train.jsonl", "valid.jsonl", "test.jsonl"),
    ("train.json validation.json", "train.json", "validation.json", ""),
    ("train.jsonl test.jsonl README.md .hidden.jsonl", "train.jsonl", "test.jsonl", ""),
    ("Train_2.jsonl train_1.jsonl.gz dev.csv", "Train_2.jsonl train_1.jsonl.gz", "dev.csv", ""),
    ("train-00000-of-00002.parquet train-00001-of-00002.parquet",
     "train-00000-of-00002.parquet train-00001-of-00002.parquet", "", ""),
    ("training.jsonl trainer.jsonl eval.jsonl", "training.jsonl", "eval.jsonl", "trainer.jsonl"),
    ("mine.jsonl", "mine.jsonl", "", ""), ("test.jsonl", "test.jsonl", "", ""),
    ("train.jsonl dataset_infos.json", "train.jsonl", "", "dataset_infos.json")])
def test_files_of_a_folder_are_told_by_their_names(names, train, validation, passed, tmp_path):
    for name in names.split():
        (tmp_path / name).touch()
    (tmp_path / "train.jsonl.d").mkdir()
    found = find_chats(tmp_path)
    assert found.train == [str(tmp_path / name) for name in train.split()]
    assert found.validation == [str(tmp_path / name) for name in validation.split()]
    assert found.passed == [str(tmp_path / name) for name in passed.split()]


@pytest.mark.parametrize("names, part", [
    ("", "got no file"), ("a.jsonl b.jsonl", "got a.jsonl, b.jsonl"), ("notes.txt", "got no file"),
    ("valid.jsonl test.jsonl", "got test.jsonl, valid.jsonl")])
def test_a_folder_without_training_examples_is_an_error(names, part, tmp_path):
    for name in names.split():
        (tmp_path / name).touch()
    with pytest.raises(cllm.InputError, match=f"no examples to train on: {part}, expected train"):
        find_chats(tmp_path)


@pytest.mark.parametrize("name", ["train\udcff.jsonl", "valid\udcff.jsonl"])
def test_names_that_are_not_utf_8_are_refused(name, tmp_path):
    """What a data set says of its examples is UTF-8."""
    write_lines(tmp_path / "train.jsonl", {"messages": said("q", "a")})
    write_lines(tmp_path / name, {"messages": said("q", "a")})
    shown = name.replace("\udcff", r"\\xff")
    for given in (tmp_path, tmp_path / name):
        with pytest.raises(cllm.InputError, match=f"{shown}: a name that is not UTF-8: expected "
                                                  "one that is: rename the file"):
            find_chats(given)
    (tmp_path / name).rename(tmp_path / "other\udcff.jsonl")
    assert find_chats(tmp_path).train == [str(tmp_path / "train.jsonl")]


def test_both_parts_of_a_folder_are_read(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    write_lines(data / "train.jsonl", *({"messages": said("q", str(i))} for i in range(3)))
    (data / "val.json").write_text(json.dumps([{"messages": said("q", "a")}]))
    chats = open_chats(data, model_of(tmp_path / "model", "smollm"))
    assert chats.validation is not None
    for _ in range(2):  # any number of times
        assert len(list(chats.train)) == 3 and len(list(chats.validation)) == 1
        assert (chats.train.counts.kept, chats.validation.counts.kept) == (3, 1)
    assert chats.train.read == (data / "train.jsonl").stat().st_size
