"""Making a data set: what is asked for, the saved state, and the steps one by one."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy

import cllm
from cllm._cllm import CllmError, InputError
from cllm._words import count, flag
from cllm.prepare import scan, tokenizers
from cllm.prepare.asked import FREQUENCY, OWN, Asked, checked
from cllm.prepare.describe import asked_of, describe
from cllm.prepare.encode import ALONE, batches_of, encode_all, placed_pieces
from cllm.prepare.folder import Folder
from cllm.prepare.inputs import find_files
from cllm.prepare.pieces import Batch
from cllm.prepare.readers import InputFile, Reading
from cllm.prepare.report import Report
from cllm.prepare.scan import Choice, Source
from cllm.prepare.store import Part, Progress, write_durably, write_json
from cllm.prepare.tokenizers import Encoder, Tokenizer
from cllm.token_files import read_description

SAVE_EVERY = 5.0  # seconds, and more where a save takes long, as it does with very many files
SAMPLE = 1 << 25  # characters that a tokenizer is trained on, and tokens are counted in


class Work:
    """One data set on its way. What save() wrote is where the next run goes on."""

    def __init__(self, folder: Folder, asked: Asked, processes: int, report: Report) -> None:
        self.folder, self.asked, self.report = folder, asked, report
        self.processes = processes
        self.sources: list[Source] = []
        self.at = (0, 0)  # the file, and batches of it, that are done
        self.progress = {name: Progress() for name in ("train", "val")}
        self.choice: Choice | None = None
        self._load()
        self._next_save = time.monotonic() + SAVE_EVERY

    def _load(self) -> None:
        state: dict[str, Any] = {}
        if self.folder.state.exists():
            state = json.loads(self.folder.state.read_bytes())
            asked, version = state["asked"], state["cllm"]
        elif self.folder.made.exists():
            made = json.loads(self.folder.made.read_bytes())
            asked, version = asked_of(made), made["cllm"]
        else:
            return
        wanted = self.asked.state()
        differing = [name for name in dict.fromkeys([*wanted, *asked])
                     if asked.get(name) != wanted.get(name)]
        if version != cllm.__version__:
            differing.append("version of cllm")
        if differing:
            if not self.folder.force:
                raise InputError(f"{self.folder.out}: an unfinished data set of other settings is "
                                 f"there: got another {', '.join(differing)}, expected the same "
                                 f"command, or {flag('force')} to begin anew")
            self.folder.clear()
        elif state:
            sources = [Source(**source) for source in state["sources"]]
            if self.folder.force and any(map(scan.has_changed, sources)):
                self.folder.clear()
                return
            self.sources = sources
            self.at = tuple(state["at"])
            self.choice = Choice(**state["choice"]) if state["choice"] else None
            self.progress = {name: Progress.of(part) for name, part in state["parts"].items()}

    def save(self) -> None:
        begin = time.monotonic()
        write_json(self.folder.state, {
            "cllm": cllm.__version__, "asked": self.asked.state(),
            "sources": [vars(source) for source in self.sources], "at": self.at,
            "choice": self.choice.state() if self.choice else None,
            "parts": {name: part.state() for name, part in self.progress.items()}}, indent=None)
        now = time.monotonic()
        self._next_save = now + SAVE_EVERY * (1 + 4 * (now - begin))  # a twentieth of the time

    def _save_is_due(self) -> bool:
        return time.monotonic() >= self._next_save

    def make(self) -> None:
        """Writes all files of the data set into the work folder."""
        for source in self.sources:
            scan.check_unchanged(source)
        if self.choice is None:
            self.scan()
        self.find_places()
        tokenizer = self.tokenizer()
        self.encode(tokenizer)
        if not self.progress["train"].documents:
            raise InputError(f"{self.asked.inputs[0]}: nothing to train on: every document stands "
                             "in the validation files too")
        describe(self, tokenizer)
        self.tell(tokenizer)

    # -- steps ------------------------------------------------------------------------------------

    @property
    def rows(self) -> Path:
        return self.folder.work / "documents"

    def scan(self) -> None:
        """Reads every input once. Files that were read before an interruption are not read again.
        """
        files = [(name, False) for name in self.asked.inputs]
        files += [(name, True) for name in self.asked.validation]
        sizes = [scan.stamp(name)[0] for name, _ in files]
        self.report.stage("reading", sum(sizes), sum(sizes[:len(self.sources)]))
        known = sum(source.documents for source in self.sources)
        begins = [0, *accumulate(sizes)]
        with self.rows.open("r+b" if self.rows.exists() else "w+b") as rows:
            rows.truncate(16 * known)
            rows.seek(16 * known)
            for i, (name, validates) in enumerate(files):
                if i < len(self.sources):
                    continue
                source = Source(name, validates)
                hashes: list[int] = []

                def progress(read: int, before: int = begins[i], found: list[int] = hashes,
                             ) -> None:
                    self.report.at(before + read)
                    if len(found) >= 1 << 16:
                        rows.write(numpy.array(found, "<u8").tobytes())
                        found.clear()

                scan.scan_file(source, self.asked.reading, hashes,
                               self.asked.tokenizer == "chars", progress)
                rows.write(numpy.array(hashes, "<u8").tobytes())
                self.sources.append(source)
                if self._save_is_due():
                    rows.flush()
                    os.fsync(rows.fileno())
                    self.save()
            rows.flush()
            os.fsync(rows.fileno())
        self._choose()
        self.save()

    def _choose(self) -> None:
        train = [source for source in self.sources if not source.validates]
        count = sum(source.documents for source in train)
        if not count:
            raise InputError(f"{self.asked.inputs[0]}: no text: every input is empty")
        few = scan.rows_of(self.rows, 0, min(count, scan.FEW + 1))
        fraction = 0.0 if self.asked.validation else self.asked.fraction
        self.choice = scan.choose(few, fraction)

    def _placed(self, i: int) -> Iterator[int]:
        """The part of every document of source i."""
        assert self.choice is not None
        return scan.parts_of(self.rows, self._firsts[i], self.sources[i], self.choice, self._held)

    def find_places(self) -> None:
        """Finds the first document of every source, and the texts of the validation files, which do
        not train."""
        self._firsts = [0, *accumulate(source.documents for source in self.sources)]
        first = sum(source.documents for source in self.sources if not source.validates)
        self._held = (numpy.unique(scan.rows_of(self.rows, first)[:, 0])
                      if self.asked.validation else numpy.empty(0, "<u8"))

    def _sample(self) -> Iterator[str]:
        """Text to train a tokenizer on, spread evenly over what the model trains on."""
        assert self.choice is not None
        total = sum(source.characters for source in self.sources if not source.validates)
        seen = taken = 0
        for i, source in enumerate(self.sources):
            if source.validates:
                continue
            file = InputFile(source.path, self.asked.reading)
            for piece, part in placed_pieces(file, self._placed(i), self.choice, True):
                if part == scan.TRAIN:
                    if taken * total <= seen * SAMPLE:
                        taken += len(piece.text)
                        yield piece.text
                    seen += len(piece.text)

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that is asked for; one that is trained here is trained once."""
        made = self._unordered()
        if self.asked.order != FREQUENCY:
            return made
        kept = self.folder.work / "ordered.json"
        if not kept.exists():
            self.report.say("counting how often each token comes")
            write_durably(kept, tokenizers.by_frequency(made, self._sample()).json.encode())
        return tokenizers.read_trained(kept.read_bytes().decode(),
                                       "chars" if made.kind == "chars" else "bpe")

    def _unordered(self) -> Tokenizer:
        """The tokenizer with the ids that it has of its own."""
        name = self.asked.tokenizer
        size = tokenizers.bpe_size(name)
        if name == "bytes":
            return tokenizers.of_bytes()
        if name == "chars":
            return tokenizers.of_characters(
                set().union(*(source.alphabet for source in self.sources)))
        if size is None:
            return tokenizers.of_file(Path(name), self.asked.end_of_text)
        kept = self.folder.work / "trained.json"
        if not kept.exists():
            self.report.say(f"training a tokenizer of {size} tokens")
            write_durably(kept, tokenizers.train_bpe(self._sample(), size).json.encode())
        return tokenizers.read_trained(kept.read_bytes().decode())

    def tell(self, tokenizer: Tokenizer) -> None:
        """What the user should know of the result."""
        replaced = sum(source.replaced for source in self.sources)
        if replaced:
            self.report.say(f"replaced {count(replaced, 'undecodable place')} by U+FFFD")
        left = (sum(source.documents for source in self.sources)
                - sum(part.documents for part in self.progress.values()))
        if left > 0:
            self.report.say(f"left out {count(left, 'document')} that the validation files hold "
                            "too")
        size = tokenizers.bpe_size(self.asked.tokenizer)
        if size is not None and tokenizer.vocabulary < size:
            self.report.say(f"the text gives {tokenizer.vocabulary} tokens, not {size}")

    def encode(self, tokenizer: Tokenizer) -> None:
        """Writes the tokens of both parts, and the state every few seconds."""
        choice = self.choice
        assert choice is not None
        exact = tokenizer.kind != "file" or tokenizers.cuts_exactly(Encoder(tokenizer).ids)
        parts = [Part(self.folder.work, name, tokenizer.vocabulary, tokenizer.sha256, progress)
                 for name, progress in self.progress.items()]
        total = sum(source.characters for source in self.sources)
        processes = 1 if total < ALONE else self.processes
        done = sum(source.characters for source in self.sources[:self.at[0]])
        self.report.stage("tokenizing", total, done)
        places: list[tuple[int, int]] = []  # of the batches under way

        def batches() -> Iterator[Batch]:
            file, skipped = self.at
            for i, source in enumerate(self.sources[file:], file):
                scan.check_unchanged(source)
                found = batches_of(source, self.asked.reading, self._placed(i), choice, exact)
                for number, batch in enumerate(found, 1):
                    if i > file or number > skipped:
                        places.append((i, number))
                        yield batch
                scan.check_unchanged(source)

        def save() -> None:
            for part in parts:
                part.sync()
            self.save()
            for part in parts:
                part.forget()

        try:
            for number, (batch, encoded) in enumerate(
                    encode_all(batches(), tokenizer, processes)):
                for part, result in zip(parts, encoded, strict=True):
                    part.append(result.tokens, result.starts, result.text_bytes)
                self.at = places[number]
                done += batch.characters
                self.report.at(done)
                if self._save_is_due():
                    save()
            for part in parts:
                part.seal()
            save()
            self.starts = {part.name: part.write_starts() for part in parts}
        finally:
            for part in parts:
                part.close()


def _listed(paths: str | Path | Sequence[str | Path]) -> list[str]:
    return [os.fspath(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]


def prepare(inputs: str | Path | Sequence[str | Path], out: str | Path, *,
            tokenizer: str | Path = "bytes", field: str | None = None, encoding: str | None = None,
            errors: str = "strict", val: str | Path | Sequence[str | Path] = (),
            val_fraction: float = 0.1, end_of_text: str | None = None, order: str = OWN,
            force: bool = False, processes: int | None = None, progress: bool | None = None,
            ) -> dict[str, Any]:
    """Makes a data set of texts in the folder `out`, and returns what its dataset.json says.
    Interrupted, it goes on where it stopped when it is called in the same way again.

    Args:
        inputs: A file, folder or pattern, or several: .txt, .md, .jsonl, .csv, .tsv, .parquet,
            SQuAD's .json, also packed (.gz, .zst). In folders, .json is passed over, and so are
            data sets, runs and models.
        out: A new folder.
        tokenizer: "bytes", "chars", "bpe:N" (trained here, N tokens), a tokenizer.json of Hugging
            Face, or the folder of a model or run that holds it.
        field: Field or column of the text; None: "text". In JSONL, "a.b" is the field b inside a.
        encoding: Of texts without a mark; None: UTF-8.
        errors: Of undecodable bytes: "strict" refuses them, "replace" counts them.
        val: A file, folder or pattern to validate with, or several.
        val_fraction: Without `val`, part of the text that validates: whole documents, or the end
            of the largest one where all are large.
        end_of_text: The token that ends a document, where the tokenizer does not say.
        order: "own": ids as the tokenizer has them; "frequency": those first that the training
            texts have most often, by a sample of 34 million characters spread over them where
            they are longer, and the end of text last, so that rings of the lattice are frequency
            bands.
        force: Replaces a data set that is there.
        processes: None: one for each core. Any number gives the same files.
        progress: Says on standard error how far the work is; None: on a terminal and in notebooks.
    """
    place = Path(out)
    given = _listed(inputs)
    if not given:
        raise InputError("inputs: nothing to prepare: expected files, folders or patterns")
    crew = processes if processes is not None else len(os.sched_getaffinity(0))
    asked = checked(Asked(tuple(find_files(given, place)), tuple(find_files(_listed(val), place)),
                          str(tokenizer), val_fraction, Reading(field, encoding, errors),
                          end_of_text, order), crew)
    report = Report(progress)
    try:
        with Folder(place, force=force) as folder:
            work = Work(folder, asked, crew, report)
            if not folder.made.exists():
                work.make()
            folder.publish()
            description = read_description(place)
            folder.remove()
    except OSError as error:
        raise CllmError(f"{place}: the data set cannot be written: {error.strerror or error}; with "
                        "that put right, the same command goes on where it stopped") from error
    finally:
        report.close()
    return description
