"""Whether an example holds something to learn, in an order in which it can come about."""

from cllm.chat.example import (
    ASSISTANT,
    SYSTEM,
    TOOL,
    USER,
    Completion,
    Conversation,
    Dropped,
    Example,
    Message,
    is_answer,
)

EMPTY_ANSWER = "with an empty answer"
EMPTY_TEXT = "without text"
NO_ANSWER = "without an answer"
OUT_OF_ORDER = "with roles out of order"

# Who may have spoken before; None: nobody. What else a template does not like it says itself.
_AFTER = {SYSTEM: (None,), USER: (None, SYSTEM, USER, ASSISTANT, TOOL),
          ASSISTANT: (SYSTEM, USER, TOOL), TOOL: (ASSISTANT, TOOL)}


def check(example: Example) -> None:
    """Raises Dropped for what would teach nothing, or something wrong."""
    if isinstance(example, Conversation):
        _check_messages(example)
    elif isinstance(example, Completion):
        if not example.completion.strip():
            raise Dropped(EMPTY_ANSWER)
    elif not example.text.strip():
        raise Dropped(EMPTY_TEXT)


def _check_messages(example: Conversation) -> None:
    before = None
    for number, message in enumerate(example.messages, 1):
        role = message["role"]
        if before not in _AFTER[role]:
            raise Dropped(OUT_OF_ORDER, f"message {number}: {role} "
                          + (f"after {before}" if before else "comes first"))
        if role == ASSISTANT and _is_empty(message):
            raise Dropped(EMPTY_ANSWER, f"message {number}")
        before = role
    answers = example.messages[example.prompt:]
    if not any(map(is_answer, answers)):
        raise Dropped(NO_ANSWER)


def _is_empty(message: Message) -> bool:
    return not message.get("content", "").strip() and not message.get("tool_calls")
