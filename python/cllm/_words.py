"""Numbers with their nouns, and options as the reader writes them."""

from cllm import _cllm


def count(number: int, noun: str) -> str:
    """1 worker, 2 workers, 12,345 workers."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"


def option(name: str, value: str = "") -> str:
    """--val-fraction 0.1 on a command line, val_fraction=0.1 in Python."""
    return _cllm.option_word(name, value)


def flag(name: str) -> str:
    """--force on a command line, force=True in Python."""
    word = _cllm.option_word(name)
    return word if on_command_line() else word + "=True"


def on_command_line() -> bool:
    """Whether the user typed a command, and reads of options as they are typed."""
    return _cllm.option_word("out").startswith("--")
