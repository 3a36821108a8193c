"""What an example is, whatever form its record had."""

from dataclasses import dataclass
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]  # role, content, and what else a template may look at

SYSTEM, USER, ASSISTANT, TOOL = ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class Text:
    """All of it is trained."""

    text: str


@dataclass(frozen=True)
class Completion:
    """A text of which the end is trained."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Conversation:
    """The answers are trained or, where the first messages are a prompt, all that follows it."""

    messages: list[Message]
    tools: list[Any] | None = None
    prompt: int = 0  # messages


Example: TypeAlias = Text | Completion | Conversation


class Dropped(Exception):  # noqa: N818
    """An example that nothing can be learned from. It is counted; the others are trained on."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def is_answer(message: Message) -> bool:
    """Whether the message is one to learn; OpenAI's files take some out with a weight of 0."""
    return message["role"] == ASSISTANT and message.get("weight") != 0
