"""What can be made or fetched again is kept in the user's cache."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder of this program; XDG_CACHE_HOME says where caches are."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cllm"
