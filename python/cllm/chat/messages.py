"""The messages of a record are checked: a role that is known, a content that is text."""

import json
from typing import Any

from cllm._cllm import InputError
from cllm.chat.example import ASSISTANT, ROLES, TOOL, USER, Message

# Who speaks in ShareGPT's files and in those made after them.
SPEAKERS = {"human": USER, "gpt": ASSISTANT, "chatgpt": ASSISTANT, "model": ASSISTANT,
            "observation": TOOL, "function_call": ASSISTANT, **{role: role for role in ROLES}}


def plain_text(record: dict[str, Any], key: str, where: str) -> str:
    """The text under a key; nothing where the key is missing or null."""
    value = record.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f'{where}: "{key}" is no text: got {type(value).__name__}, expected a '
                         "string")
    return value


def tools_of(record: dict[str, Any], where: str) -> list[Any] | None:
    """What the model may call. Tables keep it as JSON in a string."""
    tools = record.get("tools")
    if isinstance(tools, str):
        if not tools.strip():
            return None
        tools = _json(tools, f'{where}: "tools"')
    if tools is None or tools == []:
        return None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise InputError(f'{where}: "tools" is no list of objects: expected a JSON schema for each '
                         "tool")
    return tools


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is no JSON: {error}") from None


def messages_of(record: dict[str, Any], key: str, where: str) -> list[Message]:
    """Messages as OpenAI writes them; what else they hold is the template's business."""
    return [_message(message, f"{where}: message {number}")
            for number, message in enumerate(_list(record, key, where), 1)]


def turns_of(record: dict[str, Any], key: str, where: str) -> list[Message]:
    """Messages as ShareGPT writes them, or as OpenAI does under the name of the others."""
    return [_turn(turn, f"{where}: message {number}")
            for number, turn in enumerate(_list(record, key, where), 1)]


def _list(record: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    value = record[key]
    if isinstance(value, str):  # as a table keeps it
        value = _json(value, f'{where}: "{key}"')
    if not isinstance(value, list):
        raise InputError(f'{where}: "{key}" is no list: got {type(value).__name__}, expected '
                         "messages")
    for number, message in enumerate(value, 1):
        if not isinstance(message, dict):
            raise InputError(f"{where}: message {number} is no object: got "
                             f"{type(message).__name__}, expected one with role and content")
    return value


def _required(message: dict[str, Any], key: str, where: str, wanted: str) -> Any:
    if key not in message:
        raise InputError(f'{where} has no "{key}": got {", ".join(list(message)[:12]) or "nothing"}'
                         f", expected {wanted}")
    return message[key]


def _message(message: dict[str, Any], where: str) -> Message:
    kept = {key: value for key, value in message.items() if value is not None}  # as transformers
    role = _required(kept, "role", where, "role and content")
    if role not in ROLES:
        raise InputError(f'{where}: unknown role: got "{role}", expected {", ".join(ROLES)}')
    if "content" in kept:
        kept["content"] = _content(kept["content"], where)
    elif not (role == ASSISTANT and kept.get("tool_calls")):
        _required(kept, "content", where, "role and content")
    if isinstance(kept.get("tool_calls"), list):
        kept["tool_calls"] = [_with_arguments(call) for call in kept["tool_calls"]]
    return kept


def _turn(turn: dict[str, Any], where: str) -> Message:
    if "from" not in turn and "role" in turn:
        return _message(turn, where)
    speaker = _required(turn, "from", where, "from and value")
    if not isinstance(speaker, str) or speaker not in SPEAKERS:
        raise InputError(f'{where}: unknown speaker: got "{speaker}", expected '
                         f'{", ".join(SPEAKERS)}')
    content = _content(_required(turn, "value", where, "from and value"), where)
    kept: Message = {"role": SPEAKERS[speaker], "content": content}
    if turn.get("weight") is not None:
        kept["weight"] = turn["weight"]
    return _call(kept) if speaker == "function_call" else kept


def _call(message: Message) -> Message:
    """A call that is written as JSON, as templates expect calls; one that is no JSON stays text."""
    call = _parsed(message["content"])
    calls = call if isinstance(call, list) else [call]
    if not calls or not all(isinstance(one, dict) and "name" in one for one in calls):
        return message
    return message | {"content": "", "tool_calls": [
        {"type": "function", "function": _with_arguments(one)} for one in calls]}


def _with_arguments(call: Any) -> Any:
    """A call with its arguments as an object. OpenAI keeps them as JSON in a string; templates make
    JSON of what they get, and of a string that would be a string in quotes."""
    if not isinstance(call, dict):
        return call
    if isinstance(call.get("function"), dict):
        return call | {"function": _with_arguments(call["function"])}
    arguments = call.get("arguments")
    parsed = _parsed(arguments) if isinstance(arguments, str) else None
    return call | {"arguments": parsed} if isinstance(parsed, dict) else call


def _parsed(text: str) -> Any:
    """What JSON says; None where a text is none, or escapes half a character in it."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _content(content: Any, where: str) -> str:
    """One text, also where it comes in parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InputError(f"{where}: content is no text: got {type(content).__name__}, expected a "
                         "string")
    texts = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, dict) else type(part).__name__
        if kind != "text":
            raise InputError(f"{where}: content holds more than text: got {kind}, expected parts "
                             "of type text: this model reads nothing else")
        text = _required(part, "text", f"{where}: a part of content", "type and text")
        if not isinstance(text, str):
            raise InputError(f'{where}: "text" of a part of content is no text: got '
                             f"{type(text).__name__}, expected a string")
        texts.append(text)
    return "".join(texts)
