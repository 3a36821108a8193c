"""The command `cllm chat`: a conversation in a terminal, or an answer for each line of a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cllm
from cllm import _process
from cllm._merge_command import check_adapter, load
from cllm._options import generate_option
from cllm._words import count

if TYPE_CHECKING:
    from cllm.chat import Dialogue

PROMPT = "> "
HELP = """/reset  begins anew: what was said is forgotten
/exit   leaves, as Ctrl-D does
/help   says this
Ctrl-C  ends an answer; once more, it leaves"""
_EXIT = ("/exit", "/quit")
_LARGEST = 2**62  # to which answers are counted on


def chat(
    model: Annotated[Path, typer.Argument(
        metavar="MODEL", help="Folder of a model with a chat template, of an adapter, or of a run."
    )],
    adapter: Annotated[Path | None, typer.Option(
        metavar="FOLDER", help="An adapter to add to the model: a folder of PEFT, or a run.")
    ] = None,
    system: Annotated[str | None, typer.Option(
        metavar="TEXT", help="What the model is told before; without it, what its template says."
    )] = None,
    tokens: Annotated[int, typer.Option(help="The most tokens of an answer.")] = 512,
    temperature: Annotated[float, generate_option("temperature")] = 0.2,
    top_k: Annotated[int, generate_option("top-k")] = 0,
    top_p: Annotated[float, generate_option("top-p")] = 0.9,
    seed: Annotated[int, generate_option("seed")] = 1337,
    chat_template: Annotated[str | None, typer.Option(
        metavar="FILE", help="Template in Jinja, or the name of one of several that the model has; "
        "without it, the model's.")] = None,
) -> None:
    """Holds a conversation with a model, by its chat template.

    From a pipe it reads a question a line and prints the answers, nothing else."""
    for option, value, least in (("--tokens", tokens, 1), ("--top-k", top_k, 0),
                                 ("--seed", seed, -_LARGEST)):
        if not least <= value <= _LARGEST:
            raise cllm.InputError(f"{option}: out of range: got {value}, expected {least} to "
                                  f"{_LARGEST}")
    if sys.stdin is None or sys.stdout is None:
        raise cllm.CllmError("standard input or output is closed: expected questions and a place "
                             "for answers")
    from cllm.chat import Dialogue

    if adapter is not None:
        check_adapter(adapter, "--adapter")
    loaded = load(model, adapter, "cllm chat {model} --adapter {adapter}")
    dialogue = Dialogue(loaded, system=system, chat_template=chat_template, tokens=tokens,
                        temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    if sys.stdin.isatty():
        _Conversation(dialogue).hold(str(model))
    else:
        _answer_lines(dialogue)


class _Teller:
    """Shows answers as they come, and says once what became of what was said."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._told_dropped = False
        self._is_terminal = sys.stdout.isatty()

    def answer(self, question: str) -> None:
        """Raises InputError for what cannot be asked, before anything is shown."""
        self._dialogue.ask(question, self._show)
        self._show(b"\n")
        if self._dialogue.dropped and not self._told_dropped:
            self._told_dropped = True
            _process.tell("note    the context of "
                          f"{count(self._dialogue.model.config.seq, 'token')} is full: from "
                          "here on the model does not see the oldest turns")
        if self._dialogue.cut:
            _process.tell("note    the answer is cut: it reached --tokens, or the end of the "
                          "context")

    def _show(self, piece: bytes) -> None:
        from cllm.chat.show import visible

        if self._is_terminal:  # which a model may not drive
            piece = visible(piece.decode(errors="replace")).encode()
        sys.stdout.buffer.write(piece)
        sys.stdout.flush()


def _obey(dialogue: Dialogue, word: str, tell: Callable[[str], object]) -> bool:
    """Does what a command says. Whether to go on."""
    if word in _EXIT:
        return False
    if word == "/reset":
        dialogue.reset()
        tell("begun anew")
    elif word == "/help":
        tell(HELP)
    else:
        tell(f"no such command: got {word}, expected /help, /reset or /exit")
    return True


def _is_command(line: str) -> bool:
    return line.startswith("/") and len(line.split()) == 1


# -- in a terminal ------------------------------------------------------------------------------

class _Conversation:
    """Reads lines with a prompt. Ctrl-C ends what goes on, and twice in a row the conversation."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._teller = _Teller(dialogue)
        with suppress(ImportError):  # lines can be edited, and arrows bring earlier ones back
            import readline  # noqa: F401

    def hold(self, name: str) -> None:
        _process.tell(f"{name}: {count(self._dialogue.model.num_parameters(), 'parameter')}, a "
                      f"context of {count(self._dialogue.model.config.seq, 'token')}; /help "
                      "lists commands, /exit leaves")
        interrupted = False
        while True:
            try:
                if not self._turn():
                    return
                interrupted = False
            except KeyboardInterrupt:
                typer.echo()
                if interrupted:
                    return
                interrupted = True
                _process.tell("stopped; Ctrl-C once more leaves")

    def _turn(self) -> bool:
        """A line and its answer. Whether there will be another."""
        try:
            line = input(PROMPT).strip()
        except EOFError:
            typer.echo()
            return False
        except UnicodeDecodeError as error:
            _process.tell(f"not UTF-8: got a byte {error.object[error.start]:#04x}, expected text")
            return True
        if not line:
            _process.tell("nothing is asked: type a question, or /help")
        elif _is_command(line):
            return _obey(self._dialogue, line, _process.tell)
        else:
            try:
                self._teller.answer(line)
            except cllm.InputError as error:  # the next question may be another
                _process.tell(str(error))
        return True


# -- from a pipe --------------------------------------------------------------------------------

def _lines() -> Iterator[tuple[int, str]]:
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise cllm.InputError(f"standard input: line {number}: not UTF-8: got a byte "
                                  f"{line[error.start]:#04x}, expected text") from None
        yield number, text.strip()


def _answer_lines(dialogue: Dialogue) -> None:
    """Answers each line, in one conversation."""
    teller = _Teller(dialogue)
    passed = 0
    for number, line in _lines():
        if not line:
            passed += 1
        elif _is_command(line):
            if not _obey(dialogue, line, _process.tell):
                break
        else:
            try:
                teller.answer(line)
            except cllm.InputError as error:
                raise cllm.InputError(f"standard input: line {number}: {error}") from None
    if passed:
        _process.tell(f"note    {count(passed, 'empty line')} passed over")
