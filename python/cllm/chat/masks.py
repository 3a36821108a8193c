"""Where the answers stand in the text of a conversation.

A template may mark them. Of others, an answer is what is added when it is rendered too: it begins
where the text of the messages before it ends, with what asks for an answer, and ends where the text
that it ends with does. Both are checked to begin the whole text. Templates that render a message
otherwise once others follow it, such as those which leave out what a model thought before, fail
that; then the answer is found by its own text.
"""

from dataclasses import dataclass

from cllm.chat.example import ASSISTANT, Conversation, Dropped, Message, is_answer
from cllm.chat.jinja import Span
from cllm.chat.template import ChatTemplate

LOST = "whose answers are not found in what the template makes of them"
LEFT_OUT = "whose template leaves the text of an answer out"
_END_OF_THOUGHT = "</think>"


@dataclass(frozen=True)
class Answers:
    text: str
    spans: list[Span]
    moved: int = 0  # answers that are rendered otherwise before other messages


def find_answers(template: ChatTemplate, example: Conversation) -> Answers:
    """The text of a conversation, and the spans of its answers. Raises Dropped."""
    found = _found(template, example)
    _check_shown(template, example, found)
    return found


def _found(template: ChatTemplate, example: Conversation) -> Answers:
    if example.prompt:
        return _after_prompt(template, example)
    text, spans = template.render(example.messages, example.tools)
    answers = [message for message in example.messages if message["role"] == ASSISTANT]
    chosen = [is_answer(message) for message in answers]
    if template.marks and (all(chosen) or len(spans) == len(answers)):
        if not all(chosen):
            spans = [span for span, wanted in zip(spans, chosen, strict=True) if wanted]
        return Answers(text, [span for span in spans if span[0] < span[1]])
    return _by_difference(template, example, text)


def _check_shown(template: ChatTemplate, example: Conversation, found: Answers) -> None:
    """Raises Dropped where a template makes the same of an answer whatever it says: only its end
    would be trained. Beside calls some leave out the text on purpose."""
    shown = [found.text[begin:end] for begin, end in found.spans]
    for i, message in enumerate(example.messages):
        if i < example.prompt or not is_answer(message) or message.get("tool_calls"):
            continue
        if any(said in text for said in _said(message) for text in shown):
            continue
        other = message | {"content": message["content"] + "x"}
        messages = [*example.messages[:i], other, *example.messages[i + 1:]]
        try:
            text, _ = template.render(messages, example.tools)
        except Dropped:
            continue
        if text == found.text:
            raise Dropped(LEFT_OUT, _quoted(message, i))


def _after_prompt(template: ChatTemplate, example: Conversation) -> Answers:
    """All that follows a prompt."""
    text, _ = template.render(example.messages, example.tools)
    begin, moved = _begin(template, example, example.prompt, text)
    return Answers(text, [(begin, len(text))] if begin < len(text) else [], int(moved))


def _by_difference(template: ChatTemplate, example: Conversation, text: str) -> Answers:
    spans: list[Span] = []
    number = 0
    for i, message in enumerate(example.messages):
        if not is_answer(message):
            continue
        begin, begin_moved = _begin(template, example, i, text)
        end, end_moved = _end(template, example, i, text, begin)
        if not (spans[-1][1] if spans else 0) <= begin < end:
            raise _lost(example, i)
        spans.append((begin, end))
        number += begin_moved or end_moved
    return Answers(text, spans, number)


def _begin(template: ChatTemplate, example: Conversation, i: int, text: str) -> tuple[int, bool]:
    """Where message i begins, and whether what asks for it is rendered otherwise here."""
    head, _ = template.render(example.messages[:i], example.tools, prompt=True)
    if text.startswith(head):
        return len(head), False
    before, _ = template.render(example.messages[:i], example.tools)
    same = next((at for at, (a, b) in enumerate(zip(text, head, strict=False)) if a != b),
                min(len(text), len(head)))
    for said in _said(example.messages[i]) if text.startswith(before) else ():
        # Not in what still asks for it: an answer "a" is not that of "assistant".
        at = text.find(said, max(len(before), same - len(said) + 1))
        if at >= 0:
            return at, True
    raise _lost(example, i)


def _end(template: ChatTemplate, example: Conversation, i: int, text: str, begin: int,
         ) -> tuple[int, bool]:
    """Where message i ends: with what closes it while no other follows."""
    whole, _ = template.render(example.messages[:i + 1], example.tools)
    if text.startswith(whole):
        return len(whole), False
    for said in _said(example.messages[i]):
        last = whole.rfind(said)
        at = text.find(whole[last:], begin) if last >= 0 else -1
        if at >= 0:
            return at + len(whole) - last, True
    raise _lost(example, i)


def _lost(example: Conversation, i: int) -> Dropped:
    return Dropped(LOST, _quoted(example.messages[i], i))


def _quoted(message: Message, i: int) -> str:
    content = " ".join(message.get("content", "").split())
    return f"message {i + 1}: {content[:60]}"


def _said(message: Message) -> list[str]:
    """What of a message a template keeps: all of it, or what follows the thoughts."""
    content = message.get("content", "").strip()
    after = content.rpartition(_END_OF_THOUGHT)[2].strip()
    return [said for said in dict.fromkeys((content, after)) if said]
