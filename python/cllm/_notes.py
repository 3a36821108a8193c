"""What a run has to say to its user, where neither progress nor a listener shows it."""

import warnings


class CllmWarning(UserWarning):
    """What a run notes and nobody shows: a loop of step(), or run() without `progress`, `on_note`
    or a callback with on_note. Python shows each once, unless its filters say otherwise.

    ::

        import warnings
        warnings.simplefilter("ignore", cllm.CllmWarning)
    """


def warn(note: str) -> None:
    """Is called inside Trainer.run(): the warning points to who called that."""
    _warn(note, 4)


def warn_here(note: str) -> None:
    """Is called by the engine: the warning points to who called that."""
    _warn(note, 3)


def _warn(note: str, level: int) -> None:
    warnings.warn(note.removeprefix("warning: "), CllmWarning, stacklevel=level)
