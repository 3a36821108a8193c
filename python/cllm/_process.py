"""How the `cllm` command ends: one line on standard error, a documented exit code, no traceback."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

import cllm
from cllm import _cllm
from cllm._words import one_line

DONE, FAILED, BAD_INPUT, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130


def tell(line: str) -> None:
    """A line on standard error, which may be closed, full or somebody's who has gone."""
    if sys.stderr is sys.__stderr__:
        _cllm.write_to_stderr(line + "\n")
    else:  # a test, or a program that calls a command
        typer.echo(line, err=True)


@contextmanager
def command_line_words() -> Iterator[None]:
    """Errors of the engine name options as they are typed: --eval-every."""
    before = _cllm.set_command_line_words(True)
    try:
        yield
    finally:
        _cllm.set_command_line_words(before)


def fail(error: BaseException | str, code: int) -> typer.Exit:
    """Says what is wrong; to be raised."""
    tell("cllm: " + (one_line(str(error)) or type(error).__name__))
    return typer.Exit(code)


def code_of(error: BaseException) -> int:
    """A name that no system takes is the user's, wherever it comes to light."""
    too_long = isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
    return BAD_INPUT if too_long or isinstance(error, cllm.InputError) else FAILED


def leave_quietly() -> int:
    """Nothing that the interpreter does at its end changes the exit code from here on. Returns
    FAILED when what was printed cannot be brought out."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it would give back what ends the process
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError as error:
            # What cannot be written would be tried again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if not isinstance(error, BrokenPipeError):
                fail(f"standard output cannot be written: {error}", FAILED)
            return FAILED
    return DONE


def _code(app: Callable[..., Any]) -> int:
    try:
        return int(app(standalone_mode=False) or DONE)
    except typer.Abort:
        return fail("interrupted", INTERRUPTED).exit_code
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else FAILED
    except Exception as error:
        # Bad usage: an error that can show itself, whatever its class is called in this version.
        if type(error).__name__ == "NoArgsIsHelpError" and hasattr(error, "show"):
            error.show()
            return BAD_INPUT
        if hasattr(error, "format_message"):
            text = " ".join(error.format_message().split())
            if hasattr(error, "option_name") and "requires" in text:
                return fail(f"{error.option_name}: no value (see --help)", BAD_INPUT).exit_code
            return fail(f"{text} (see --help)", getattr(error, "exit_code", BAD_INPUT)).exit_code
        return fail(error, code_of(error)).exit_code


def run(app: Callable[..., Any]) -> int:
    """Runs a typer app to its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # paths may hold any bytes: they come out as they came in
            stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    with command_line_words():
        code = _code(app)
    flushed = leave_quietly()
    return code or flushed
