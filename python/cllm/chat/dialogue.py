"""A conversation with a model: what was said, as much of it as the context holds, and answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cllm._cllm import InputError
from cllm._pieces import Pieces
from cllm.chat.encode import Encoder
from cllm.chat.example import ASSISTANT, SYSTEM, USER, Conversation, Dropped, Message
from cllm.chat.tokenizer import ChatTokenizer

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from cllm._model import Model

_QUESTION, _ANSWER, _NEXT = "a question", "an answer", "the next"  # to see how a template ends one


class Dialogue:
    """A conversation with a model, by its chat template.

    ::

        dialogue = cllm.chat.Dialogue(cllm.Model.load("model"))
        print(dialogue.ask("What is the capital of France?"))
        print(dialogue.ask("And of Spain?"))

    What was said is kept as far as the model's context goes; then the oldest turns are left out.

    Args:
        model: A model with a tokenizer and a chat template.
        system: What the model is told before the conversation; None: what its template says.
        chat_template: A file in Jinja, or the name of one of several that the model has; None: the
            model's.
        tokens: The most tokens of an answer.
        temperature: 0 takes the most likely token, higher is more varied.
        top_k: Draws from the k most likely tokens; 0: from all.
        top_p: Draws from the most likely tokens that reach this probability.
        seed: The same seed gives the same answers to the same questions.
    """

    def __init__(self, model: Model, *, system: str | None = None,
                 chat_template: str | Path | None = None, tokens: int = 512,
                 temperature: float = 0.2, top_k: int = 0, top_p: float = 0.9,
                 seed: int = 1337) -> None:
        self._sampling: dict[str, Any] = {"temperature": temperature, "top_k": top_k,
                                          "top_p": top_p}
        model.generate([0], tokens=0, **self._sampling)  # refuses wrong settings
        if tokens < 1:
            raise InputError(f"tokens: out of range: got {tokens}, expected at least 1")
        self.model = model
        """The model that answers."""
        self.system = system
        """What it is told before."""
        self.messages: list[Message] = []
        """What was said and is kept, with role and content, without the system message."""
        self.dropped = 0
        """Messages that were left out, because the context was full."""
        self.cut = False
        """Whether the last answer was ended by its limit, or by the end of the context."""
        self._tokens, self._seed, self._answers = tokens, seed, 0
        self._encoder = Encoder(ChatTokenizer(Path(model.folder)),
                                None if chat_template is None else str(chat_template),
                                model.config.seq)
        self._template = self._encoder.templates.of(None)
        self._tokenizer = model._text_tokenizer()
        self._ends, self._stops = self._how_answers_end()
        self._ends.update(model.end_tokens)
        self._prompt([{"role": USER, "content": _QUESTION}])  # the template takes questions

    def ask(self, question: str, on_text: Callable[[bytes], object] | None = None) -> str:
        """Returns the answer, of which `on_text` is told each piece as it comes.

        An interrupted answer is kept as far as it was given. Raises InputError where the template
        does not take the question, or the context has no room for it.
        """
        kept, ids = self._fitting(question)
        given: list[bytes] = []

        def show(piece: bytes) -> object:
            given.append(piece)
            return on_text(piece) if on_text is not None else None

        try:
            self._answer(ids, show)
        except BaseException:
            if given:
                self._keep(kept, given)
            raise
        return self._keep(kept, given)

    def check(self, question: str) -> None:
        """Raises InputError for what ask() does not take."""
        self._fitting(question)

    def reset(self) -> None:
        """Forgets what was said."""
        self.messages, self.dropped, self.cut = [], 0, False

    def _keep(self, kept: list[Message], given: list[bytes]) -> str:
        answer = b"".join(given).decode(errors="replace")
        self.dropped += len(self.messages) + 1 - len(kept)
        self.messages = [*kept, {"role": ASSISTANT, "content": answer}]
        return answer

    def _answer(self, ids: NDArray[numpy.uint32], show: Callable[[bytes], object]) -> None:
        most = min(self._tokens, self.model.config.seq - len(ids))
        pieces = Pieces(self._tokenizer, show, self._stops)
        spoken: list[int] = []
        self.cut = False

        def hear(token: int) -> bool:
            if token in self._ends:
                return False
            spoken.append(token)
            goes_on = pieces.add(token)
            self.cut = goes_on and len(spoken) == most
            return goes_on

        self._answers += 1
        self.model._generate_on(ids.astype("int32"), tokens=most, known=self._tokenizer.known,
                                seed=self._seed + self._answers - 1, on_token=hear,
                                **self._sampling)
        pieces.finish(spoken)

    # -- what the model reads -------------------------------------------------------------------

    def _prompt(self, messages: list[Message]) -> NDArray[numpy.uint32]:
        """The tokens up to where an answer begins."""
        told = [] if self.system is None else [{"role": SYSTEM, "content": self.system}]
        try:
            text, _ = self._template.render([*told, *messages], prompt=True)
            text.encode()
        except UnicodeEncodeError:  # what a command line took as bytes
            raise InputError("the conversation: not UTF-8: expected text") from None
        except Dropped as why:
            raise InputError(f"{self._template.place}: the template refuses: {why.detail}"
                             ) from None
        return self._encoder.tokenizer.encode_chat(text, "the conversation").ids

    def _fitting(self, question: str) -> tuple[list[Message], NDArray[numpy.uint32]]:
        """The messages with room for an answer after them, and their tokens."""
        if not question.strip():
            raise InputError("nothing is asked: got an empty text, expected a question")
        context = self.model.config.seq
        room = min(self._tokens, context // 2)
        messages = [*self.messages, {"role": USER, "content": question}]
        ids = self._prompt(messages)
        if len(ids) + room > context:
            # More is left out than has to be, so that not each further question begins otherwise
            # than the last one and is read from its begin.
            room += context // 8
            while len(ids) + room > context and len(messages) > 1:
                messages = list(itertools.dropwhile(lambda m: m["role"] != USER, messages[1:]))
                ids = self._prompt(messages)
        if len(ids) >= context:
            raise InputError(f"the question does not fit: got {len(ids):,} tokens with what the "
                             f"template adds, expected fewer than {context:,}, the model's context")
        return messages, ids

    def _how_answers_end(self) -> tuple[set[int], list[bytes]]:
        """The tokens by which the template ends an answer or, where it has none, the text."""
        asked = [{"role": USER, "content": _QUESTION}, {"role": ASSISTANT, "content": _ANSWER}]
        try:
            ends = set(self._encoder.encode(Conversation(asked), "the template").ends)
            if ends:
                return ends, []
            text, _ = self._template.render([*asked, {"role": USER, "content": _NEXT}])
        except Dropped:
            return set(), []
        begin = text.find(_ANSWER) + len(_ANSWER)
        between = text[begin:text.find(_NEXT, begin)].strip()
        return set(), [between.encode()] if between else []
