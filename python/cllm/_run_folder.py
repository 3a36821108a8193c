"""The folders of a run that may hold a model or an adapter."""

import re
from pathlib import Path

from cllm._cllm import InputError

_STEP = re.compile(r"step-([0-9]{1,18})")


def steps_of(run: Path) -> list[Path]:
    """The checkpoints of a run by their names, the latest step first."""
    try:
        found = [(int(name[1]), path) for path in (run / "checkpoints").iterdir()
                 if (name := _STEP.fullmatch(path.name)) and path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"{run / 'checkpoints'}: cannot be read: {error.strerror}") from None
    return [path for _, path in sorted(found, reverse=True)]


def models_of(run: Path) -> list[Path]:
    """Where the newest model of a run is looked for, one place after the other. The link `latest`
    is missing where a file system has no links, or was lost in a copy."""
    return [run / "final", run / "checkpoints/latest", *steps_of(run)]
