"""The forms in which people keep examples, told by the keys of a record."""

from collections.abc import Callable
from typing import Any

from cllm._cllm import InputError
from cllm._words import option
from cllm.chat.example import ASSISTANT, SYSTEM, USER, Completion, Conversation, Example, Text
from cllm.chat.messages import messages_of, plain_text, tools_of, turns_of

# Where several fit, the first is taken: files of messages often hold the prompt again, and those of
# instructions the whole text.
KEYS = {"messages": ("messages",), "sharegpt": ("conversations",),
        "prompt": ("prompt", "completion"), "alpaca": ("instruction", "output"),
        "text": ("text",)}
FORMS = {"messages": "messages with role and content", "sharegpt": "conversations with from and "
         "value", "prompt": "prompt and completion", "alpaca": "instruction, input and output",
         "text": "text"}


def format_of(record: Any, where: str) -> str:
    """The form of a record. Raises InputError where it has none of them."""
    if isinstance(record, str):
        return "text"
    for name, keys in KEYS.items():
        if all(key in _object(record, where) for key in keys):
            return name
    wanted = ("keys of one of these forms: "
              + "; ".join(", ".join(keys) for keys in KEYS.values()))
    if "chosen" in record and "rejected" in record:
        wanted = "one answer for each question (preferences are not trained on)"
    raise InputError(f"{where} has no example: got {_names(record)}, expected {wanted}")


def check_format(name: str) -> None:
    if name not in KEYS:
        raise InputError(f'{option("format")}: got "{name}", expected {", ".join(KEYS)}')


def example_of(record: Any, form: str, where: str) -> Example:
    """The example that a record of this form holds."""
    if form == "text" and isinstance(record, str):
        return Text(record)
    for key in KEYS[form]:
        if key not in _object(record, where):
            raise InputError(f'{where} has no "{key}": got {_names(record)}, expected '
                             f"{FORMS[form]}")
    return _READ[form](record, where)


def _object(record: Any, where: str) -> dict[str, Any]:
    if isinstance(record, dict):
        return record
    hint = " (a list of records has its place in a .json)" if isinstance(record, list) else ""
    raise InputError(f"{where} is no object: got {type(record).__name__}, expected "
                     f"an object for each example{hint}")


def _names(record: dict[str, Any]) -> str:
    return ", ".join(list(record)[:12]) or "no keys"


def _conversation(record: dict[str, Any], where: str, messages: list[dict[str, Any]],
                  prompt: int = 0) -> Conversation:
    """With the system message that some files keep beside the others."""
    system = plain_text(record, "system", where)
    if system and not (messages and messages[0]["role"] == SYSTEM):
        messages.insert(0, {"role": SYSTEM, "content": system})
        prompt += prompt > 0
    return Conversation(messages, tools_of(record, where), prompt)


def _of_messages(record: dict[str, Any], where: str) -> Example:
    return _conversation(record, where, messages_of(record, "messages", where))


def _of_turns(record: dict[str, Any], where: str) -> Example:
    return _conversation(record, where, turns_of(record, "conversations", where))


def _of_prompt(record: dict[str, Any], where: str) -> Example:
    prompt, completion = record["prompt"], record["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        before = messages_of(record, "prompt", where)
        after = messages_of(record, "completion", where)
        return _conversation(record, where, before + after, len(before))
    for key, value in (("prompt", prompt), ("completion", completion)):
        if isinstance(value, list) and value:
            raise InputError(f'{where}: of prompt and completion only "{key}" is messages: '
                             "expected two texts or two lists of messages")
    return Completion(plain_text(record, "prompt", where), plain_text(record, "completion", where))


def _of_instruction(record: dict[str, Any], where: str) -> Example:
    messages = []
    history = record.get("history") or []
    for pair in history if isinstance(history, list) else [history]:
        if not (isinstance(pair, list) and len(pair) == 2
                and all(isinstance(part, str) for part in pair)):
            raise InputError(f'{where}: "history" is no list of turns: expected [question, answer] '
                             "for each")
        messages += [{"role": USER, "content": pair[0]}, {"role": ASSISTANT, "content": pair[1]}]
    asked = [part for key in ("instruction", "input") if (part := plain_text(record, key, where))]
    messages += [{"role": USER, "content": "\n".join(asked)},
                 {"role": ASSISTANT, "content": plain_text(record, "output", where)}]
    return _conversation(record, where, messages)


def _of_text(record: dict[str, Any], where: str) -> Example:
    return Text(plain_text(record, "text", where))


_READ: dict[str, Callable[[dict[str, Any], str], Example]] = {
    "messages": _of_messages, "sharegpt": _of_turns, "prompt": _of_prompt,
    "alpaca": _of_instruction, "text": _of_text}
