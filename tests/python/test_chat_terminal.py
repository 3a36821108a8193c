"""`cllm chat` as a program: in a terminal, where Ctrl-C ends an answer, and in a pipe."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import needs

pytestmark = needs("cllm", "jinja2", "tokenizers", "typer", "rich")
pytest.importorskip("cllm")
pytest.importorskip("jinja2")
from chat_models import command, parrot  # noqa: E402
from cllm.prepare.tokenizers import byte_names  # noqa: E402

SECONDS = 120


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model that says 12 without an end."""
    folder = tmp_path_factory.mktemp("chat")
    parrot(folder / "model", "12", context=30000)
    parrot(folder / "small", "12", context=50)
    return folder


def test_what_people_write_is_shown_as_it_is_and_what_drives_a_terminal_is_not():
    from cllm.chat.show import visible

    for text in ("\u0645\u06cc\u200c\u062f\u0647", "👩\u200d🔬", "Où\u00a0?", "10\u202f000",
                 "你\u3000好", "co\u00adop", "א\u200f!\u200e", "a\tb\n"):
        assert visible(text) == text
    for c in ("\x1b", "\r", "\x7f", "\x85", "\x9b", "\ud800", "\u2028", "\u2029", "\u202e",
              "\u202a", "\u2066", "\u2069"):
        assert visible(f"a{c}b") == f"a{ascii(c)[1:-1]}b"


# -- a pipe -------------------------------------------------------------------------------------

def ask(text, *, place, model="model", tokens=3):
    done = subprocess.run([sys.executable, "-m", "cllm", "chat", model, "--temperature", "0",
                           "--tokens", str(tokens)], cwd=place, input=text,
                          capture_output=True, timeout=SECONDS, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def test_a_pipe_has_an_answer_for_each_line_and_nothing_else(place):
    code, out, err = ask(b"\xef\xbb\xbfhello\nwhat?\n\nand", place=place)
    assert (code, out) == (0, b"121212\n" * 3)
    assert err == ("note    the answer is cut: it reached --tokens, or the end of the context\n" * 3
                   + "note    1 empty line passed over\n")
    assert ask(b"", place=place) == (0, b"", "")


def test_commands_in_a_pipe(place):
    code, out, err = ask(b"hello\n/reset\n/nothing\n/help\n/exit\nhello\n", place=place)
    assert (code, out) == (0, b"121212\n")
    assert "begun anew\n" in err and "/reset  begins anew" in err
    assert "no such command: got /nothing, expected /help, /reset or /exit\n" in err
    code, out, _ = ask(b"/usr/bin and what?\n", place=place)
    assert (code, out) == (0, b"121212\n"), "a line is a command only when it is one word"


def test_a_full_context_is_said_once(place):
    code, out, err = ask(b"hello and what?\n" * 5, place=place, model="small")
    assert code == 0 and out.count(b"\n") == 5
    assert err.count("note    the context of 50 tokens is full: ") == 1


@pytest.mark.parametrize("lines, wanted", [
    (b"hello\n" + b"what " * 40 + b"\n", "line 2: the question does not fit: got "),
    (b"hello\nwh\xffat\n", "line 2: not UTF-8: got a byte 0xff, expected text")])
def test_a_line_that_cannot_be_asked_is_one_error(lines, wanted, place):
    code, out, err = ask(lines, place=place, model="small")
    assert code == 2 and out == b"121212\n"
    assert f"cllm: standard input: {wanted}" in err.split("\n")[1]


WRONG = {
    "no model": (["chat"], "Missing argument 'MODEL'"),
    "no such folder": (["chat", "nowhere"], "nowhere"),
    "no tokens": (["chat", "model", "--tokens", 0], "--tokens: out of range: got 0"),
    "a temperature": (["chat", "model", "--temperature", "nan"], "--temperature"),
    "no template": (["chat", "model", "--chat-template", "none"],
                    "--chat-template: no such file: got none"),
    "no text": (["chat", "model", "--system", b"\xff".decode(errors="surrogateescape")],
                "not UTF-8"),
    "an option": (["chat", "model", "--tempreature", 1], "did you mean --temperature?")}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_error(name, place):
    words, wanted = WRONG[name]
    code, out, err = command(*words, folder=place)
    assert code == 2 and not out and err.count("\n") == 1, err
    assert wanted in err


def test_a_model_without_a_template_is_refused(tmp_path):
    parrot(tmp_path / "plain", "12", shape="llama3")
    (tmp_path / "plain/chat_template.jinja").unlink()
    code, _, err = command("chat", "plain", folder=tmp_path)
    assert code == 2 and "cllm: plain: no chat template: got neither" in err


# -- a terminal ---------------------------------------------------------------------------------

class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, *words, place):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cllm", "chat", *map(str, words)], cwd=place, stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True, preexec_fn=self._control,
            env=os.environ | {"TERM": "dumb", "COLUMNS": "100"})
        os.close(slave)
        self.seen = ""

    @staticmethod
    def _control():
        """Ctrl-C is for the program at the terminal."""
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def until(self, pattern):
        """What comes up to a pattern, without it."""
        end = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < end, f"no {pattern!r} in {self.seen[-2000:]!r}"
            if select.select([self.master], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.master, 1 << 16).decode(errors="replace")
                except OSError:  # the program has ended
                    assert re.search(pattern, self.seen), self.seen[-2000:]
        before, self.seen = self.seen[:found.start()], self.seen[found.end():]
        return before

    def type(self, text):
        os.write(self.master, text.encode())

    def interrupt_at_prompt(self):
        """Types Ctrl-C once the program sleeps until a line comes. readline looks at no signal that
        comes after it wrote the prompt and before it waits; a person types later."""
        status = Path(f"/proc/{self.process.pid}/stat")
        end = time.monotonic() + SECONDS
        while status.read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < end, "it does not wait for a line"
            time.sleep(0.01)
        self.type("\x03")

    def code(self):
        code = self.process.wait(timeout=SECONDS)
        os.close(self.master)
        return code


PROMPT = r"(?:^|\n)> "


def test_a_conversation_in_a_terminal(place):
    terminal = Terminal("model", "--temperature", 0, "--tokens", 3, place=place)
    assert "model: " in terminal.until(PROMPT)
    terminal.type("hello\n")
    assert "121212" in terminal.until(PROMPT)
    terminal.type("\n")
    assert "nothing is asked: type a question, or /help" in terminal.until(PROMPT)
    terminal.type("/help\n")
    assert "/exit   leaves" in terminal.until(PROMPT)
    terminal.type("/exit\n")
    assert terminal.code() == 0


def test_ctrl_c_ends_an_answer_and_not_the_program(place):
    terminal = Terminal("model", "--temperature", 0, "--tokens", 25000, place=place)
    terminal.until(PROMPT)
    terminal.type("hello\n")
    terminal.until("12121212")
    terminal.type("\x03")
    assert "stopped; Ctrl-C once more leaves" in terminal.until(PROMPT)
    terminal.type("/reset\n")
    assert "begun anew" in terminal.until(PROMPT)
    terminal.interrupt_at_prompt()  # a line was typed since: it stays
    terminal.until("once more leaves")
    terminal.until(PROMPT)
    terminal.interrupt_at_prompt()
    assert terminal.code() == 0


def test_ctrl_d_leaves_and_a_hangup_ends(place):
    terminal = Terminal("model", place=place)
    terminal.until(PROMPT)
    terminal.type("\x04")
    assert terminal.code() == 0
    terminal = Terminal("model", place=place)
    terminal.until(PROMPT)
    terminal.process.send_signal(signal.SIGHUP)
    assert terminal.code() == -signal.SIGHUP


def test_a_long_question_is_answered_by_counsel(place):
    terminal = Terminal("small", "--temperature", 0, "--tokens", 3, place=place)
    terminal.until(PROMPT)
    terminal.type("what " * 40 + "\n")
    assert "the question does not fit: got " in terminal.until(PROMPT)
    terminal.type("hello\n")
    assert "121212" in terminal.until(PROMPT)
    terminal.type("\x04")
    assert terminal.code() == 0


def test_a_model_does_not_drive_the_terminal(place):
    parrot(place / "escape", byte_names()[0x1b])
    terminal = Terminal("escape", "--temperature", 0, "--tokens", 2, place=place)
    terminal.until(PROMPT)
    terminal.type("hello\n")
    said = terminal.until(PROMPT)
    assert "\\x1b\\x1b" in said and "\x1b" not in said
    terminal.type("\x04")
    assert terminal.code() == 0
    assert ask(b"hello", tokens=1, place=place, model="escape")[1] == b"\x1b\n"


# -- a real model -------------------------------------------------------------------------------

def test_smollm2_names_the_capital_of_france(smollm2):
    code, out, err = ask(b"What is the capital of France?\nAnd of Italy?\n", tokens=60,
                         place=smollm2.parent, model=smollm2.name)
    first, second = out.decode().strip().split("\n")[::len(out.decode().strip().split("\n")) - 1]
    assert code == 0 and "Paris" in first and "Rome" in second, out
    assert "cut" not in err
