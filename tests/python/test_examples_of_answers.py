"""The file of a hundred conversations about this project that the repository holds."""

import json
import re

import pytest
from conftest import ROOT, needs

pytestmark = needs("cllm", "typer")
cllm = pytest.importorskip("cllm")

FILE = ROOT / "python/examples/cllm_questions.jsonl"
CHATS = [json.loads(line)["messages"] for line in FILE.read_text().splitlines()]


def test_there_are_a_hundred_different_ones_in_order():
    assert len(CHATS) == 100
    for messages in CHATS:
        assert [message["role"] for message in messages] == ["user", "assistant"] * (
            len(messages) // 2)
        assert all(message["content"].strip() == message["content"] for message in messages)
    assert len({messages[0]["content"] for messages in CHATS}) == 100


def test_options_and_commands_in_them_exist():
    """So that what is learned from them is true."""
    import typer
    from cllm import cli

    commands = typer.main.get_command(cli.app).commands
    known = {name for command in commands.values() for parameter in command.params
             for name in (*parameter.opts, *parameter.secondary_opts)}
    said = " ".join(message["content"] for messages in CHATS for message in messages)
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", said))
    assert len(options) > 20 and options <= known, options - known
    named = set(re.findall(r"\bcllm ([a-z]+)\b(?! the)", said)) - {"on", "is", "in", "to"}
    assert {"train", "finetune", "chat", "merge"} <= named
    assert named <= set(commands) | {"merge"}, named
