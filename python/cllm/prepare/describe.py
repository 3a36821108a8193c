"""dataset.json says what a data set holds and what it was made of."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cllm
from cllm.prepare import tokenizers
from cllm.prepare.store import Progress, write_durably, write_json

if TYPE_CHECKING:
    from cllm.prepare.work import Work


def part_of(progress: Progress, starts: str | None) -> dict[str, Any]:
    tokens, size = progress.all_tokens(), progress.all_bytes()
    return {
        "tokens": tokens, "documents": progress.documents, "text_bytes": size,
        "bytes_per_token": round(size / tokens, 6) if tokens else 0.0, "document_starts": starts,
        "files": [{"file": shard.file, "tokens": shard.tokens, "text_bytes": shard.text_bytes}
                  for shard in progress.shards]}


def asked_of(description: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, as Asked.state() gives it."""
    inputs: dict[bool, list[str]] = {False: [], True: []}
    for source in description["sources"]:
        inputs[source["validates"]].append(source["path"])
    return {**description["settings"], "inputs": inputs[False], "validation": inputs[True]}


def write_description(made: Path, tokenizer: tokenizers.Tokenizer, content: dict[str, Any], *,
                      version: int = 1) -> None:
    """Writes the tokenizer's files and, last, the description."""
    files = {"tokenizer.json": tokenizer.json.encode(), **tokenizer.files}
    for name, text in files.items():
        write_durably(made.parent / name, text)
    write_json(made, {
        "format": "cllm data set", "version": version, "cllm": cllm.__version__,
        "tokenizer": {
            "kind": tokenizer.kind, "vocabulary": tokenizer.vocabulary,
            "end_of_text": tokenizer.end, "special_tokens": tokenizer.special_tokens(),
            "sha256": tokenizer.sha256.hex(),
            "files": {name: hashlib.sha256(text).hexdigest()
                      for name, text in sorted(files.items())}},
        "width": 2 if tokenizer.vocabulary <= 65536 else 4, **content})


def describe(work: "Work", tokenizer: tokenizers.Tokenizer) -> None:
    """What was made of texts."""
    settings = work.asked.state()
    del settings["inputs"], settings["validation"]  # the sources
    write_description(work.folder.made, tokenizer, {
        **{name: part_of(part, work.starts[name]) for name, part in work.progress.items()},
        "sources": [{
            "path": source.path, "bytes": source.size, "sha256": source.sha256,
            "documents": source.documents, "text_bytes": source.text_bytes,
            "replaced": source.replaced, "validates": source.validates}
            for source in work.sources],
        "settings": settings})
