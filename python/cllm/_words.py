"""Numbers with their nouns."""


def count(number: int, noun: str) -> str:
    """1 worker, 2 workers, 12,345 workers."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"
