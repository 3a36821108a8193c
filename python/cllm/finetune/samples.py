"""What a model answers while it learns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cllm._cllm import InputError
from cllm._pieces import Pieces
from cllm._tokenizer import TextTokenizer
from cllm.chat.dialogue import Dialogue
from cllm.chat.example import SYSTEM
from cllm.chat.tokenizer import ChatTokenizer
from cllm.prepare.tokenizers import read_json

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy
    from numpy.typing import NDArray

    from cllm._cllm import ModelConfig
    from cllm._trainer import Trainer
    from cllm.chat.example import Message

TOKENS = 80  # of an answer


def end_tokens(folder: Path) -> list[int]:
    """The tokens that a model's folder says to end a text."""
    for name in ("generation_config.json", "config.json"):
        file = folder / name
        config = read_json(file) if file.is_file() else {}
        found = config.get("eos_token_id") if isinstance(config, dict) else None
        if found is not None:
            several = found if isinstance(found, list) else [found]
            return [token for token in several if isinstance(token, int)]
    return []


class InTraining:
    """A model as it is now in a run, to hold a Dialogue with."""

    def __init__(self, trainer: Trainer, folder: Path) -> None:
        self._trainer = trainer
        self.folder = str(folder)
        self.end_tokens = end_tokens(folder)
        self._tokenizer = TextTokenizer(self.folder)

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop, which ends an answer too."""
        return self._trainer._stop_requested

    @property
    def config(self) -> ModelConfig:
        return self._trainer.model_config

    def _text_tokenizer(self) -> TextTokenizer:
        return self._tokenizer

    def generate(self, prompt: list[int], *, tokens: int, **sampling: Any) -> None:
        """Looks at nothing: who asks knows what settings are right."""

    def _generate_on(self, prompt: Any, *, on_token: Callable[[int], object],
                     **settings: Any) -> None:
        self._trainer._generate(
            prompt, on_token=lambda token: not self.stopping and on_token(token), **settings)


@dataclass(frozen=True)
class Prompt:
    """What is asked: all messages before an answer, or a text that goes on."""

    asked: list[Message] | str
    sampled: bool = False  # from an example, not by the user

    @property
    def question(self) -> str:
        return self.asked if isinstance(self.asked, str) else str(self.asked[-1]["content"])


class Answers:
    """What a model says to prompts, at temperature 0."""

    def __init__(self, model: InTraining, chat_template: str | None) -> None:
        self._model, self._chat_template = model, chat_template
        self._dialogue: Dialogue | None = None  # only messages need a template
        self._tokenizer: ChatTokenizer | None = None

    def check(self, prompt: Prompt) -> None:
        """Raises InputError for what cannot be asked."""
        if isinstance(prompt.asked, str):
            self._ids(prompt.asked)
        else:
            self._before(prompt.asked).check(prompt.question)

    def to(self, prompt: Prompt) -> str:
        if isinstance(prompt.asked, str):
            return self._after(prompt.asked)
        return self._before(prompt.asked).ask(prompt.question)

    def _before(self, asked: list[Message]) -> Dialogue:
        """A conversation in which all but the last message was said."""
        if self._dialogue is None:
            model: Any = self._model
            self._dialogue = Dialogue(model, chat_template=self._chat_template, tokens=TOKENS,
                                      temperature=0)
        told = [message for message in asked[:-1] if message["role"] == SYSTEM]
        self._dialogue.reset()
        self._dialogue.system = str(told[0]["content"]) if told else None
        self._dialogue.messages = asked[len(told):-1]
        return self._dialogue

    def _ids(self, text: str) -> NDArray[numpy.uint32]:
        """The tokens of a text, as many of its last ones as the model can read."""
        if self._tokenizer is None:
            self._tokenizer = ChatTokenizer(Path(self._model.folder))
        ids = self._tokenizer.encode_prompt(text, "the prompt")[-self._model.config.seq:]
        if not len(ids):
            raise InputError("nothing is asked: got a text without a token, expected a question")
        return ids

    def _after(self, text: str) -> str:
        ids = self._ids(text)
        assert self._tokenizer is not None
        ends = {self._tokenizer.end, *self._model.end_tokens}
        given: list[int] = []

        def hear(token: int) -> bool:
            if token not in ends:
                given.append(token)
            return token not in ends

        known = self._model._text_tokenizer()
        self._model._generate_on(ids.astype("int32"), tokens=TOKENS, temperature=0, top_k=0,
                                 top_p=1, seed=0, known=known.known, on_token=hear)
        return Pieces(known, None, []).finish(given).decode()
