"""An example becomes tokens, and which of them are trained."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy
from numpy.typing import NDArray

from cllm.chat.example import Completion, Conversation, Dropped, Example
from cllm.chat.masks import find_answers
from cllm.chat.roles import check
from cllm.chat.template import Templates, find_templates
from cllm.chat.tokenizer import ChatTokenizer, Tokens

TOO_LONG = "too long to reach an answer"
NOT_MARKED = "in which the template marks no answer"
NOTHING = "with nothing to predict"

CUT = "cut"
MOVED = "rendered otherwise once other messages follow; answers are found by their text"
JOINED = "in which a token joins the question's end with the answer's begin; it is trained"
UNMARKED_END = "whose template marks answers without the token that ends them; it is trained"
ENDLESS = "with an answer that no special token ends: the model does not learn to stop there"


@dataclass(frozen=True)
class Encoded:
    """An example as tokens."""

    where: str
    """Its file and line."""
    ids: NDArray[numpy.uint32]
    """Its tokens: [T]."""
    trained: NDArray[numpy.bool_]
    """Which of them are trained: [T]; the first one is predicted from nothing."""
    tokens: Tokens
    """Those before the cut, with the text."""
    notes: list[str]
    """What is odd."""
    ends: list[int]
    """The token that ends each answer."""
    example: Example
    """What was read."""


@dataclass
class _Marked:
    """Tokens before the cut, with what is said of them."""

    tokens: Tokens
    trained: NDArray[numpy.bool_]
    notes: list[str] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


class Encoder:
    """Makes tokens with the tokenizer and the templates of a model."""

    def __init__(self, tokenizer: ChatTokenizer, template: str | None, length: int) -> None:
        self.tokenizer = tokenizer
        self.length = length  # tokens after which an example is cut
        self._chosen = template

    @cached_property
    def templates(self) -> Templates:
        """Raises InputError for a model without one; only conversations need it."""
        return find_templates(self.tokenizer.folder, self._chosen,
                              vocabulary=self.tokenizer.vocabulary)

    @property
    def has_read_templates(self) -> bool:
        """Whether it was asked for them: no conversation was encoded otherwise."""
        return "templates" in vars(self)

    def encode(self, example: Example, where: str) -> Encoded:
        """Raises Dropped where there is nothing to learn."""
        check(example)
        if isinstance(example, Conversation):
            made = self._conversation(example, where)
        elif isinstance(example, Completion):
            made = self._completion(example, where)
        else:
            tokens = self.tokenizer.encode_text(example.text, where)
            made = _Marked(tokens, numpy.ones(len(tokens.ids), numpy.bool_))
        trained, length = made.trained, self.length
        if not trained[1:].any():
            raise Dropped(NOTHING)
        if not trained[1:length].any():
            raise Dropped(TOO_LONG, f"{int(trained[1:].argmax()) + 1:,} tokens before it")
        if len(trained) > length:
            made.notes.append(CUT)
        return Encoded(where, made.tokens.ids[:length], trained[:length], made.tokens, made.notes,
                       made.ends, example)

    def _completion(self, example: Completion, where: str) -> _Marked:
        tokens = self.tokenizer.encode_text(example.prompt + example.completion, where)
        first, _ = tokens.range_of((len(example.prompt), len(tokens.text)))
        made = _Marked(tokens, numpy.arange(len(tokens.ids)) >= first)
        prompt = self.tokenizer.encode_prompt(example.prompt, where)
        if not numpy.array_equal(tokens.ids[:len(prompt)], prompt):
            made.notes.append(JOINED)
        return made

    def _conversation(self, example: Conversation, where: str) -> _Marked:
        answers = find_answers(self.templates.of(example.tools), example)
        if not answers.spans:
            raise Dropped(NOT_MARKED)
        tokens = self.tokenizer.encode_chat(answers.text, where)
        made = _Marked(tokens, numpy.zeros(len(tokens.ids), numpy.bool_))
        if answers.moved:
            made.notes.append(MOVED)
        for span in answers.spans:
            first, last = tokens.range_of(span)
            if first < last and tokens.begins[first] < span[0]:
                made.notes.append(JOINED)
            made.trained[first:self._with_end(made, first, last)] = True
        return made

    def _with_end(self, made: _Marked, first: int, last: int) -> int:
        """Where the answer ends, with the token by which a model says that. A line feed may follow
        that token, and be several tokens: Llama 2 puts a space before it."""
        tokens, special = made.tokens, self.tokenizer.special
        end = last - 1
        while end >= first and int(tokens.ids[end]) not in special and _is_space(tokens, end):
            end -= 1
        if end < first or int(tokens.ids[end]) not in special:
            if last == len(tokens.ids) or int(tokens.ids[last]) not in special:
                made.notes.append(ENDLESS)
                return last
            made.notes.append(UNMARKED_END)
            end, last = last, last + 1
        made.ends.append(int(tokens.ids[end]))
        return last


def _is_space(tokens: Tokens, i: int) -> bool:
    return not tokens.text[tokens.begins[i]:tokens.ends[i]].strip()
