"""Examples of answers become a data set in the user's cache, which the next run finds."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cllm
from cllm import _process
from cllm._cache import cache_folder
from cllm._cllm import InputError
from cllm._words import one_line, option
from cllm.chat.chats import Chats, open_chats
from cllm.chat.data_set import VALIDATE, Choice, write_chats
from cllm.chat.example import USER, Completion, Conversation, is_answer
from cllm.finetune.samples import Prompt
from cllm.prepare.cached import DIGITS, add_file
from cllm.prepare.tokenizers import FILES
from cllm.token_files import DESCRIPTION, read_description

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cllm.chat.example import Example

_PAUSE = 0.2  # seconds between two looks at what another command makes
_LOOKED_AT = 100  # examples that validate, for each question wanted


@dataclass(frozen=True)
class Asked:
    """What is trained on what."""

    data: str
    model: str
    format: str | None = None
    chat_template: str | None = None
    length: int | None = None  # tokens of an example
    val_fraction: float = 0.1
    end_of_text: str | None = None
    encoding: str | None = None
    errors: str = "strict"
    full: bool = False  # all weights are trained

    def open(self) -> Chats:
        try:
            return open_chats(self.data, self.model, format=self.format,
                              chat_template=self.chat_template, max_length=self.length,
                              end_of_text=self.end_of_text, encoding=self.encoding,
                              errors=self.errors)
        except InputError as error:  # a length is asked for by another name here
            text, name = str(error), option("max-length")
            if not text.startswith(f"{name}: "):
                raise
            raise InputError(option("seq") + text.removeprefix(name)) from None


def prepared(asked: Asked, chats: Chats, *, progress: bool) -> tuple[Path, dict[str, Any]]:
    """The folder of the data set and what its dataset.json says; one that was made before is taken
    as it is."""
    folder = cache_folder() / "datasets" / _name(asked, chats)
    if (folder / DESCRIPTION).exists():
        return folder, read_description(folder)
    return folder, write_chats(chats, folder, val_fraction=asked.val_fraction,
                               end_of_text=asked.end_of_text, force=True, progress=progress,
                               wait=_wait_for_another(progress))


def _wait_for_another(progress: bool) -> Callable[[], None]:
    """The user named no folder, so one in which another command works is no error."""
    told = not progress

    def wait() -> None:
        nonlocal told
        if not told:
            _process.tell("data    another command prepares these examples: waiting for it")
        told = True
        time.sleep(_PAUSE)

    return wait


def prepared_again(asked: Asked, before: str, run: Path, *, progress: bool) -> Path:
    """The data set of a run that goes on: the one it began with, although its files have changed or
    are gone, or else one of the same examples."""
    folder = Path(before)
    if before and (folder / DESCRIPTION).is_file():
        if progress:
            for name in _changed(read_description(folder)):
                _process.tell(one_line(f"note    {name} is gone, or not as it was: the run goes on "
                                       f"with the examples in {folder}"))
        return folder
    try:
        return prepared(asked, asked.open(), progress=progress)[0]
    except InputError as error:
        raise InputError(f"{run}: its examples are to be prepared again, and cannot be: {error}: "
                         f"expected {asked.data} as it was, or {before or 'its data set'}"
                         ) from None


def _changed(made: dict[str, Any]) -> list[str]:
    """The files of a data set that hold something else now."""
    found = []
    for source in made["sources"]:
        try:
            with open(source["path"], "rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == source["sha256"]
        except OSError:
            same = False
        if not same:
            found.append(source["path"])
    return found


def _name(asked: Asked, chats: Chats) -> str:
    """A name that is another one for other examples, another tokenizer, template or setting."""
    settings = {key: value for key, value in asdict(asked).items()
                if key not in ("data", "model", "chat_template", "full")}
    digest = hashlib.sha256(json.dumps([cllm.__version__, settings]).encode())
    validation = chats.validation.files if chats.validation is not None else []
    place = chats.encoder.tokenizer.folder
    files = [place / name for name in (*FILES, "config.json") if (place / name).is_file()]
    for some in (chats.train.files, validation, files):
        digest.update(f"{len(some)}\n".encode())
        for file in some:
            add_file(digest, file)
    if chats.encoder.has_read_templates:
        digest.update(chats.encoder.templates.of(None).source.encode())
    name = Path(chats.train.files[0]).name.partition(".")[0]
    return f"{name}-{digest.hexdigest()[:DIGITS]}"


# -- questions ----------------------------------------------------------------------------------

def prompts_of(chats: Chats, val_fraction: float, number: int) -> list[Prompt]:
    """What is asked in the first examples that validate. Texts ask nothing, and where few others do
    the search ends: each example that it looks at is encoded for it."""
    validates = chats.validation is not None or val_fraction > 0
    if not number or not validates or chats.train.format == "text":
        return []
    looked_at = islice(_prompts(chats, val_fraction), number * _LOOKED_AT)
    return list(islice((prompt for prompt in looked_at if prompt is not None), number))


def _prompts(chats: Chats, val_fraction: float) -> Iterator[Prompt | None]:
    """What each example that validates asks; None: nothing."""
    choice = Choice(val_fraction)
    for example in chats.validation if chats.validation is not None else chats.train:
        if chats.validation is None and choice.part_of(example) != VALIDATE:
            continue
        asked = _asked(example.example)
        yield None if asked is None else Prompt(asked, sampled=True)


def _asked(example: Example) -> list[dict[str, Any]] | str | None:
    """What comes before the first answer; None where that is no question, or an empty one."""
    if isinstance(example, Completion):
        return example.prompt if example.prompt.strip() else None
    if not isinstance(example, Conversation):
        return None
    first = next(i for i, message in enumerate(example.messages) if is_answer(message))
    asked = example.messages[:first]
    is_question = asked and asked[-1]["role"] == USER and asked[-1]["content"].strip()
    return asked if is_question else None
