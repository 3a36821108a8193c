"""Numbers with their nouns, options as the reader writes them, and errors as one line."""

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


_LONGEST, _END = 1500, 300  # characters of a line, and of its end where the middle is left out


def one_line(text: str) -> str:
    """What would break the line or drive the terminal is escaped; bytes of file names stay. The
    middle of a very long text, such as a hostile file gives, is left out."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST - _END]}...{text[-_END:]}"
    return "".join(c if c.isprintable() or 0xDC80 <= ord(c) <= 0xDCFF else repr(c)[1:-1]
                   for c in text)
