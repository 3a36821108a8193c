"""The tokenizer of a model, which knows where in a text each token stands."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from cllm._cllm import InputError
from cllm.chat.jinja import Span
from cllm.prepare import tokenizers
from cllm.prepare.tokenizers import newest_model, read_json

_CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx")
_ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")  # owner/name


@dataclass(frozen=True)
class Tokens:
    """Ids with the characters of each: [from[i], to[i]). A token beside the text has none."""

    text: str
    ids: NDArray[numpy.uint32]  # [T]
    begins: NDArray[numpy.int64]  # [T]
    ends: NDArray[numpy.int64]  # [T]

    def range_of(self, span: Span) -> tuple[int, int]:
        """The tokens that hold a character of the span."""
        first = int(numpy.searchsorted(self.ends, span[0], "right"))
        return first, max(first, int(numpy.searchsorted(self.begins, span[1], "left")))


def _why_none(folder: Path) -> str:
    """What is said of a folder without a tokenizer."""
    name = os.path.relpath(folder)
    if not folder.exists() and not folder.parent.exists() and _ON_HUB.fullmatch(name):
        return (f"no such folder: got {name}, which may be a model of the Hub: expected it "
                f"downloaded: hf download {name} --local-dir FOLDER, then FOLDER")
    if not folder.is_dir():
        what = "a file in place of a folder" if folder.exists() else "no such folder"
        return f"{what}: got {folder}, expected the folder of a model, or of a run"
    return (f"no model of words: got {folder}, expected a folder with tokenizer.json: a model of "
            "bytes knows no tokens for who speaks")


class ChatTokenizer:
    """The tokenizer of a model's folder, or of a run's newest model."""

    def __init__(self, folder: Path, end_of_text: str | None = None) -> None:
        self.folder = newest_model(folder)
        if not any((self.folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
            raise InputError(_why_none(folder))
        found = tokenizers.of_file(self.folder, end_of_text)
        self.end = found.end
        self._names = found.special_tokens()
        self.special = {*self._names.values(), found.end}
        self._tokenizer: Any = tokenizers.library().Tokenizer.from_str(found.json)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # What a tokenizer puts around a text is asked for once. Without its last step, which would
        # do that, a token's place includes the space that it begins with.
        around = self._tokenizer.encode("a")
        inside = [i for i, beside in enumerate(around.special_tokens_mask) if not beside]
        before, after = around.ids, []
        if inside:
            before, after = around.ids[:inside[0]], around.ids[inside[-1] + 1:]
        self._before, self._after = before, after
        self._tokenizer.post_processor = None
        self._splits_special = found.splits_special
        self.vocabulary: set[str] = set(self._tokenizer.get_vocab(with_added_tokens=True))
        self._below, self.context = self._limits()

    def _limits(self) -> tuple[int, int | None]:
        """What every id is below, and the tokens that the model can read at once."""
        file = self.folder / "config.json"
        config = read_json(file) if file.is_file() else {}
        if not isinstance(config, dict):
            raise InputError(f"{file}: no object of settings")
        size = config.get("vocab_size")
        context = next((config[key] for key in _CONTEXT if isinstance(config.get(key), int)), None)
        return size if isinstance(size, int) else 1 << 32, context

    def name(self, token: int) -> str:
        name: str = self._tokenizer.id_to_token(token) or f"token {token}"
        return name

    def encode_chat(self, text: str, where: str) -> Tokens:
        """The tokens of what a template made: it has written every special token itself."""
        return self._encoded(text, where, special=True)

    def encode_text(self, text: str, where: str) -> Tokens:
        """The tokens of a text, with what the tokenizer puts before it, and the end of text."""
        tokens = self._encoded(text, where, special=not self._splits_special)
        after = list(self._after)
        if self.end not in (*tokens.ids[-1:].tolist(), *after):
            after.append(self.end)
        first, last = [0] * len(self._before), [len(text)] * len(after)
        return Tokens(text, numpy.array([*self._before, *tokens.ids, *after], numpy.uint32),
                      numpy.array([*first, *tokens.begins, *last], numpy.int64),
                      numpy.array([*first, *tokens.ends, *last], numpy.int64))

    def encode_prompt(self, text: str, where: str) -> NDArray[numpy.uint32]:
        """The ids of a text that goes on."""
        tokens = self._encoded(text, where, special=not self._splits_special)
        return numpy.array([*self._before, *tokens.ids], numpy.uint32)

    def _encoded(self, text: str, where: str, *, special: bool) -> Tokens:
        self._tokenizer.encode_special_tokens = not special
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        ids = numpy.array(encoded.ids, numpy.uint32)
        places = numpy.array(encoded.offsets, numpy.int64).reshape(-1, 2)
        if len(ids) and int(ids.max()) >= self._below:
            worst = int(ids.max())
            raise InputError(f'{where}: a token past the model\'s vocabulary: got {worst}, '
                             f'"{self.name(worst)}", expected below {self._below} (vocab_size in '
                             f"{self.folder / 'config.json'})")
        return Tokens(text, ids, places[:, 0], places[:, 1])
