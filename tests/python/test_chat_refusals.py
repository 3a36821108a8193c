"""Bad examples: a file that is wrong is one error with its line; an example that teaches nothing is
dropped and counted, and an error only where none is left.
"""

import json

import pytest
from conftest import contents, needs

pytestmark = needs("cllm", "jinja2", "tokenizers", "typer", "rich")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
from chat_models import (  # noqa: E402
    CHATML,
    END,
    command,
    make_model,
    model_of,
    said,
    template_of,
    write_lines,
)
from cllm.chat import encode, masks, open_chats, roles  # noqa: E402
from cllm.chat.jinja import REFUSED  # noqa: E402

GOOD = {"messages": said("q", "a")}


def with_message(**message):
    return {"messages": [said("q")[0], message]}




# -- files that are wrong: the second line is, and the error says so ----------------------------

WRONG = {
    "no JSON": ('{"messages": [', "line 2 is no JSON"),
    "no object": ("[1, 2]", "line 2 is no object: got list"),
    "a number": ("7", "line 2 is no object: got int"),
    "missing key": ({"message": said("q", "a")}, 'line 2 has no "messages": got message, expected '
                    "messages with role and content"),
    "another form": ({"prompt": "q", "completion": "a"},
                     'line 2 has no "messages": got prompt, completion'),
    "messages of a text": ({"messages": "q"}, 'line 2: "messages" is no JSON'),
    "messages of an object": ({"messages": {"role": "user"}},
                              'line 2: "messages" is no list: got dict'),
    "a message of a text": ({"messages": ["q", "a"]}, "line 2: message 1 is no object: got str"),
    "no role": (with_message(content="a"), 'line 2: message 2 has no "role": got content'),
    "no content": (with_message(role="assistant"), 'line 2: message 2 has no "content": got role'),
    "no content of null": (with_message(role="user", content=None),
                           'line 2: message 2 has no "content": got role'),
    "unknown role": (with_message(role="gpt", content="a"),
                     'line 2: message 2: unknown role: got "gpt", expected system, user, '
                     "assistant, tool"),
    "a role of a list": (with_message(role=["user"], content="a"), "unknown role"),
    "from of ShareGPT": ({"messages": [{"from": "human", "value": "q"}]},
                         'line 2: message 1 has no "role": got from, value'),
    "a number for a content": (with_message(role="assistant", content=7),
                               "line 2: message 2: content is no text: got int"),
    "an image": (with_message(role="assistant", content=[{"type": "image_url", "image_url": {}}]),
                 "line 2: message 2: content holds more than text: got image_url"),
    "a part of a number": (with_message(role="assistant", content=[{"type": "text", "text": 7}]),
                           'line 2: message 2: "text" of a part of content is no text: got int'),
    "a part of nothing": (with_message(role="assistant", content=[{"type": "text"}]),
                          'message 2: a part of content has no "text": got type, expected type'),
    "parts that are none": (with_message(role="assistant", content=["a"]), "got str"),
    "tools that are none": (GOOD | {"tools": [1]}, 'line 2: "tools" is no list of objects'),
    "tools in bad JSON": (GOOD | {"tools": "{"}, 'line 2: "tools" is no JSON'),
    "system of a list": (GOOD | {"system": ["a"]}, 'line 2: "system" is no text: got list'),
    "half a character": (r'{"messages": [{"role": "user", "content": "\ud800"}]}',
                         "line 2: half a character"),
}
OTHERS = {
    "unknown speaker": ({"conversations": [{"from": "narrator", "value": "a"}]}, "sharegpt",
                        'message 1: unknown speaker: got "narrator", expected human'),
    "a speaker of a list": ({"conversations": [{"from": ["gpt"], "value": "a"}]}, "sharegpt",
                            "unknown speaker"),
    "a turn without value": ({"conversations": [{"from": "gpt", "text": "a"}]}, "sharegpt",
                             'message 1 has no "value": got from, text'),
    "prompt and messages": ({"prompt": "q", "completion": said("q", "a")[1:]}, "prompt",
                            'of prompt and completion only "completion" is messages'),
    "completion of a number": ({"prompt": "q", "completion": 12}, "prompt",
                               '"completion" is no text: got int'),
    "output of a list": ({"instruction": "q", "output": ["a"]}, "alpaca",
                         '"output" is no text: got list'),
    "history of words": ({"instruction": "q", "output": "a", "history": ["x"]}, "alpaca",
                         '"history" is no list of turns'),
    "text of an object": ({"text": {"a": 1}}, "text", '"text" is no text: got dict'),
    "preferences": ({"prompt": "q", "chosen": "a", "rejected": "b"}, None,
                    "got prompt, chosen, rejected, expected one answer for each question"),
    "no known key": ({"question": "q", "answer": "a"}, None,
                     "has no example: got question, answer, expected keys of one of these forms: "
                     "messages; conversations; prompt, completion; instruction, output; text"),
}


def error_of(file, model, **settings):
    with pytest.raises(cllm.InputError) as caught:
        list(open_chats(file, model, **settings).train)
    text = str(caught.value)
    assert text.isprintable() and len(text) < 1000
    return text


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_of(tmp_path_factory.mktemp("model"), "smollm", context=256)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_line_is_one_error(name, model, tmp_path):
    record, wanted = WRONG[name]
    line = record if isinstance(record, str) else json.dumps(record)
    file = tmp_path / "a.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n{line}\n")
    assert f"{file}: line 2" in (text := error_of(file, model)) and wanted in text


@pytest.mark.parametrize("name", OTHERS)
def test_a_wrong_record_of_another_form_is_one_error(name, model, tmp_path):
    record, form, wanted = OTHERS[name]
    file = write_lines(tmp_path / "a.jsonl", record)
    text = error_of(file, model, format=form)
    assert f"{file}: line 1" in text and wanted in text


@pytest.mark.parametrize("name, content, wanted", [
    ("a.jsonl", "", "no examples: got an empty file"),
    ("a.jsonl", "\n \n", "no examples: got no records, expected at least one"),
    ("a.json", "[]", "no examples: got an empty list"),
    ("a.csv", "prompt,completion\n", "no examples: got a table without rows"),
    ("a.json", '[{"text": "a"},', "a.json: no JSON"),
    ("a.json", '{"text": "a"}\n{"text": \n', "line 2 is no JSON"),
    ("a.json", '[{"text": "a"}, 7]', "record 2 is no object: got int"),
    ("a.jsonl", '[{"text": "a"}]', "line 1 is no object: got list, expected an object for each "
                                   "example (a list of records has its place in a .json)"),
    ("a.csv", "text,x\n1\n", "line 2: got 1 columns, expected 2"),
    ("a.jsonl", b'{"text": "\xff"}', "not utf-8 at byte 10"),
    ("a.txt", "words", "a.txt: no records: expected one example a line"),
    ("a.jsonl.gz", "words", "damaged or cut short"),
    ("none.jsonl/", None, "none.jsonl: cannot be read: no such file"),
])
def test_files_that_hold_no_examples(name, content, wanted, model, tmp_path):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert wanted in error_of(file, model)


# -- examples that teach nothing ----------------------------------------------------------------

CALLS = [{"type": "function", "function": {"name": "f", "arguments": {}}}]
DROPPED = {
    "empty answer": (said("q", ""), roles.EMPTY_ANSWER, "message 2"),
    "answer of spaces": (said("q", "a", "q", " \n"), roles.EMPTY_ANSWER, "message 4"),
    "no answer": (said("q"), roles.NO_ANSWER, ""),
    "no messages": ([], roles.NO_ANSWER, ""),
    "only a system message": (said(system="x"), roles.NO_ANSWER, ""),
    "an answer first": (said("q", "a")[1:], roles.OUT_OF_ORDER, "message 1: assistant comes first"),
    "two answers": (said("q", "a") + said("q", "a")[1:], roles.OUT_OF_ORDER,
                    "message 3: assistant after assistant"),
    "a late system message": (said("q", "a") + said("q", "a", system="x"), roles.OUT_OF_ORDER,
                              "message 3: system after assistant"),
    "two system messages": (said("q", "a", system="x")[:1] + said("q", "a", system="x"),
                            roles.OUT_OF_ORDER, "message 2: system after system"),
    "a tool that nobody called": ([{"role": "tool", "content": "12"}, *said("q", "a")],
                                  roles.OUT_OF_ORDER, "message 1: tool comes first"),
    "answers that do not count": ([said("q")[0], said("q", "a")[1] | {"weight": 0}],
                                  roles.NO_ANSWER, ""),
    "what the template cannot show": ([said("q")[0], {"role": "assistant", "tool_calls": CALLS}],
                                      REFUSED, "has no attribute 'content'"),
    "too long": (said("q" * 300, "a"), encode.TOO_LONG, "tokens before it"),
}


@pytest.mark.parametrize("name", DROPPED)
def test_what_teaches_nothing_is_dropped_and_counted(name, model, tmp_path):
    talk, reason, detail = DROPPED[name]
    bad = {"messages": talk}
    file = write_lines(tmp_path / "a.jsonl", GOOD, bad, GOOD, bad)
    chats = open_chats(file, model)
    assert [example.where for example in chats.train] == [f"{file}: line 1", f"{file}: line 3"]
    ((why, found),) = chats.train.counts.dropped.items()
    assert (why, found.number, found.where) == (reason, 2, f"{file}: line 2")
    assert detail in found.detail
    assert (chats.train.counts.examples, chats.train.counts.kept) == (4, 2)

    alone = write_lines(tmp_path / "b.jsonl", bad, bad)
    text = error_of(alone, model)
    assert f"{alone}: nothing to train on: of 2 examples 2 {reason} (first: {alone}: line 1" in text
    assert detail in text


@pytest.mark.parametrize("record, reason", [
    ({"prompt": "q", "completion": ""}, roles.EMPTY_ANSWER),
    ({"prompt": "q", "completion": " \n"}, roles.EMPTY_ANSWER),
    ({"prompt": said("q"), "completion": []}, roles.NO_ANSWER),
    ({"prompt": said("q", "a"), "completion": said("q")}, roles.NO_ANSWER),
    ({"prompt": "q" * 300, "completion": "a"}, encode.TOO_LONG),
    ({"instruction": "q", "output": ""}, roles.EMPTY_ANSWER),
    ({"instruction": "q", "output": "a", "history": [["q", ""]]}, roles.EMPTY_ANSWER),
    ({"text": ""}, roles.EMPTY_TEXT), ({"text": None}, roles.EMPTY_TEXT),
    ({"text": END}, encode.NOTHING)])
def test_other_forms_teach_nothing_either(record, reason, tmp_path):
    model = make_model(tmp_path / "model", template_of("smollm"), (*CHATML, END), context=256)
    text = error_of(write_lines(tmp_path / "a.jsonl", record), model)
    assert f"of 1 example 1 {reason}" in text


def test_a_template_that_refuses_is_quoted(tmp_path):
    gemma = model_of(tmp_path / "model", "gemma")
    file = write_lines(tmp_path / "a.jsonl", GOOD, {"messages": said("q", "a", system="x")},
                       {"messages": said("q")[:1] + said("q", "a")})
    chats = open_chats(file, gemma)
    assert len(list(chats.train)) == 1
    found = chats.train.counts.dropped[REFUSED]
    assert found.number == 2 and found.detail == "System role not supported"


def test_a_template_without_answers_drops_all(tmp_path):
    model = make_model(tmp_path / "model", "{% for m in messages %}{{ m.content }}{% endfor %}"
                       "{% if false %}{% generation %}{% endgeneration %}{% endif %}")
    assert f"1 {encode.NOT_MARKED}" in error_of(write_lines(tmp_path / "a.jsonl", GOOD), model)
    silent = make_model(tmp_path / "silent", "always the same")
    assert f"1 {masks.LOST}" in error_of(write_lines(tmp_path / "b.jsonl", GOOD), silent)


@pytest.mark.parametrize("mark", [("", ""), ("{% generation %}", "{% endgeneration %}")])
def test_a_template_that_leaves_answers_out_is_said(mark, tmp_path):
    """Only the token that ends an answer would be trained. Beside calls the text may go."""
    begin, end = mark
    model = make_model(tmp_path / "model", (
        "{% for m in messages %}<|im_start|>{{ m.role + '\n' }}"
        + "{% if m.role == 'assistant' %}" + begin + "{{ m.tool_calls | length or '' }}<|im_end|>"
        + end + "{% else %}{{ m.content }}<|im_end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"))
    call = said("q", "I call")
    call[1]["tool_calls"] = CALLS
    file = write_lines(tmp_path / "a.jsonl", {"messages": call}, {"messages": said("q", "a", "q")})
    chats = open_chats(file, model)
    assert [example.where for example in chats.train] == [f"{file}: line 1"]
    ((reason, found),) = chats.train.counts.dropped.items()
    assert (reason, found.first) == (masks.LEFT_OUT, f"{file}: line 2: message 2: a")
    alone = write_lines(tmp_path / "b.jsonl", GOOD)
    assert f"1 {masks.LEFT_OUT} (first: {alone}: line 1, message 2: a)" in error_of(alone, model)


# -- models and settings ------------------------------------------------------------------------

def test_tokens_past_the_vocabulary_are_an_error(tmp_path):
    model = model_of(tmp_path / "model", "smollm", vocabulary=60)
    text = error_of(write_lines(tmp_path / "a.jsonl", GOOD), model)
    assert "line 1: a token past the model's vocabulary: got " in text
    assert '"<|im_end|>", expected below 60 (vocab_size in ' in text


def test_models_that_hold_no_conversation(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", GOOD)
    assert "no such folder: got nowhere" in error_of(file, "nowhere")
    (tmp_path / "bytes").mkdir()
    (tmp_path / "bytes/config.json").write_text("{}")
    assert "expected a folder with tokenizer.json" in error_of(file, tmp_path / "bytes")
    plain = make_model(tmp_path / "plain", special=(END,))
    assert f"{plain}: no chat template" in error_of(file, plain)
    assert len(list(open_chats(write_lines(tmp_path / "t.jsonl", {"text": "x"}), plain).train)) == 1
    (plain / "tokenizer.json").write_text("{")
    assert "the tokenizer cannot be read" in error_of(file, plain)


def test_a_model_of_words_without_an_end_is_asked_for_one(tmp_path):
    model = make_model(tmp_path / "model", template_of("smollm"), ("<a>", "<b>"), eos_token=None,
                       change=lambda content: content.update(added_tokens=[]))
    file = write_lines(tmp_path / "a.jsonl", {"text": "x"})
    assert "expected end_of_text='TOKEN'" in error_of(file, model).replace('"', "'")
    (example,) = open_chats(file, model, end_of_text="<b>").train
    assert example.ids[-1] == open_chats(file, model, end_of_text="<b>").encoder.tokenizer.end


@pytest.mark.parametrize("settings, wanted", [
    ({"format": "chatml"}, 'format: got "chatml", expected messages, sharegpt, prompt'),
    ({"max_length": 1}, "max_length: got 1, expected 2 to 256, what the model can read"),
    ({"max_length": 257}, "max_length: got 257, expected 2 to 256"),
    ({"chat_template": "none.jinja"}, "chat_template: no such file: got none.jinja"),
    ({"encoding": "utf-9"}, 'encoding: unknown: got "utf-9"'),
    ({"errors": "ignore"}, 'errors: got "ignore", expected strict or replace'),
    ({"end_of_text": "<none>"}, "got none of <none>")])
def test_settings_that_are_wrong(settings, wanted, model, tmp_path):
    assert wanted in error_of(write_lines(tmp_path / "a.jsonl", GOOD), model, **settings)


# -- the command --------------------------------------------------------------------------------

REFUSED_WORDS = {
    "a.jsonl --chat": "--model: no model",
    "a.jsonl --chat --model m --tokenizer chars": "--tokenizer: is for texts",
    "a.jsonl --chat --model m --val a.jsonl": "--val: is for texts",
    "a.jsonl b.jsonl --chat --model m": "INPUT: got a.jsonl b.jsonl, expected one file",
    "a.jsonl --chat --model m --show -1": "--show: out of range: got -1",
    "a.jsonl --chat --model m --format x": '--format: got "x"',
    "a.jsonl --chat --model m --max-length 1": "--max-length: got 1",
    "a.jsonl --chat --model none": "no such folder: got none",
    "a.jsonl --chat --model m --chat-template x": "--chat-template: no such file: got x",
    "none.jsonl --chat --model m": "none.jsonl: cannot be read",
    "bad.jsonl --chat --model m": 'bad.jsonl: line 2 has no "messages"',
    "empty.jsonl --chat --model m": "1 with an empty answer (first: empty.jsonl: line 1",
    "a.jsonl --model m --out set": "--model: is for examples of answers: expected --chat",
    "a.jsonl --format text --out set": "--format: is for examples of answers",
}


@pytest.mark.parametrize("words", REFUSED_WORDS)
def test_the_command_refuses_in_one_line_and_writes_nothing(words, tmp_path):
    model_of(tmp_path / "m", "smollm")
    for name, second in (("a", GOOD), ("b", GOOD), ("bad", {"text": "x"})):
        write_lines(tmp_path / f"{name}.jsonl", GOOD, second)
    write_lines(tmp_path / "empty.jsonl", {"messages": said("q", "")})
    before = contents(tmp_path), contents(tmp_path / "m")
    code, out, err = command("prepare", *words.split(), folder=tmp_path)
    assert code == 2 and REFUSED_WORDS[words] in err
    assert err.splitlines()[-1].startswith("cllm: ")
    assert sum(line.startswith("cllm: ") for line in err.splitlines()) == 1
    assert (contents(tmp_path), contents(tmp_path / "m")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before[0], "m"])
    if "bad" not in words:
        assert out == ""
