"""`cllm prepare --chat`: examples with their trained tokens, and what became of all."""

import io
import json

import pytest
from conftest import needs

pytestmark = needs("cllm", "jinja2", "tokenizers", "typer", "rich")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
rich_console = pytest.importorskip("rich.console")
from chat_models import CHATML, command, make_model, model_of, said, write_lines  # noqa: E402
from cllm.chat import open_chats  # noqa: E402
from cllm.chat.show import pieces_of, show  # noqa: E402

SHOWN = """<|im_start|>system
You are a helpful assistant<|im_end|>
<|im_start|>user
capital?<|im_end|>
<|im_start|>assistant
{}Paris é🎉<|im_end|>
{}"""


def test_examples_and_counts_are_printed(tmp_path):
    model_of(tmp_path / "model", "smollm")
    data = tmp_path / "data"
    data.mkdir()
    records = [{"messages": said("capital?", "Paris é🎉")}, {"messages": said("q", "")},
               {"messages": said("q", "x" * 90)}, {"messages": said("q", "hidden")}]
    write_lines(data / "train.jsonl", *records)
    write_lines(data / "valid.jsonl", *records[:2])
    (data / "test.jsonl").write_text("not read")
    code, out, err = command("prepare", "data", "--chat", "--model", "model", "--show", 2,
                             "--max-length", 100, folder=tmp_path)
    assert code == 0, err
    tokens = [len(example.ids) for example in open_chats(data, tmp_path / "model",
                                                         max_length=100).train]
    assert tokens[1] == 100
    lines = out.split("\n")
    assert lines[0] == f"data/train.jsonl: line 1: {tokens[0]} tokens, 11 trained"
    assert "\n".join(lines[1:8]) == SHOWN.format("[[", "]]")
    assert lines[9].startswith("data/train.jsonl: line 3: 100 tokens, ")
    assert "... " in out and "cut\n" in out and "hidden" not in out
    assert f"train: 3 of 4 examples, {sum(tokens)} tokens, " in out
    assert f"validate: 1 of 2 examples, {tokens[0]} tokens, 11 of them trained" in out
    assert "  answers end with <|im_end|>" in out
    told = err.split("\n")
    assert told[:3] == [
        "data    data/train.jsonl: messages with role and content (--format says otherwise)",
        "chat    template model/chat_template.jinja; answers by the difference of renderings",
        "note    data/test.jsonl is not read"]
    assert ("dropped 1 example with an empty answer (first: data/train.jsonl: line 2: message 2)"
            in told)
    assert any(line.startswith("note    1 example cut after 100 tokens, which leaves out ")
               for line in told)


def test_a_quiet_command_prints_no_more_than_it_was_asked_for(tmp_path):
    model_of(tmp_path / "model", "smollm", marked=True)
    write_lines(tmp_path / "a.json", {"text": "hello"})
    words = ("prepare", "a.json", "--chat", "--model", "model", "--show", 0, "--quiet")
    code, out, err = command(*words, "--format", "text", folder=tmp_path)
    assert (code, err) == (0, "")
    assert out.startswith("train: 1 of 1 example, ") and out.count("\n") == 1
    (tmp_path / "a.json").write_bytes(b'{"text": "hell\xff"}')
    code, out, err = command(*words, "--errors", "replace", folder=tmp_path)
    assert (code, err) == (0, "note    replaced 1 undecodable place by U+FFFD\n")


def rendered(example, tokenizer, **settings):
    stream = io.StringIO()
    show(example, tokenizer, rich_console.Console(file=stream, soft_wrap=True, highlight=False,
                                                  force_terminal=True, **settings))
    return stream.getvalue()


def test_colour_is_for_what_is_trained_and_not_where_it_is_not_wanted(tmp_path, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    file = write_lines(tmp_path / "a.jsonl", {"messages": said("capital?", "Paris é🎉")})
    chats = open_chats(file, model_of(tmp_path / "model", "smollm"))
    (example,) = chats.train
    tokenizer = chats.encoder.tokenizer
    coloured = rendered(example, tokenizer, color_system="standard")
    assert SHOWN.format("\x1b[1;32m", "").rstrip() in coloured.replace("\x1b[0m", "")
    assert "[[" not in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = rendered(example, tokenizer, color_system="standard")
    assert SHOWN.format("[[", "]]") in plain and "32m" not in plain


def test_what_would_drive_the_terminal_is_escaped(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", {"messages": said("\x1b[2Jq", "[red]a\r\x07[/red]")})
    chats = open_chats(file, model_of(tmp_path / "model", "llama3"))
    (example,) = chats.train
    shown = rendered(example, chats.encoder.tokenizer, color_system=None)
    assert "\\x1b[2Jq" in shown and "[red]a\\r\\x07[/red]" in shown


@pytest.mark.parametrize("shape", ["smollm", "llama3"])
def test_pieces_are_the_text(shape, tmp_path):
    """Characters of several tokens come once, and nothing is lost between pieces."""
    talk = said("é🎉 的", "  🎉🎉\n", "\tb", "的")
    chats = open_chats(write_lines(tmp_path / "a.jsonl", {"messages": talk}),
                       model_of(tmp_path / "model", shape))
    (example,) = chats.train
    assert "".join(text for text, _ in pieces_of(example, chats.encoder.tokenizer)) == (
        example.tokens.text)


def test_tokens_beside_a_text_are_named(tmp_path):
    model = make_model(tmp_path / "model", special=("<s>", *CHATML), around=True)
    chats = open_chats(write_lines(tmp_path / "a.jsonl", {"prompt": "q", "completion": "é"}), model)
    (example,) = chats.train
    assert pieces_of(example, chats.encoder.tokenizer) == [("<s>q", False), ("é<|im_end|>", True)]


def test_a_run_is_a_model_too(tmp_path):
    model_of(tmp_path / "run/final", "smollm")
    file = write_lines(tmp_path / "a.jsonl", {"messages": said("q", "a")})
    assert len(list(open_chats(file, tmp_path / "run").train)) == 1
    assert json.loads((tmp_path / "run/final/config.json").read_text())
