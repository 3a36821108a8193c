"""Examples of answers become tokens of which only the answers are trained, as by
`cllm prepare --chat`::

    from cllm.chat import open_chats

    chats = open_chats("questions.jsonl", "model")
    for example in chats.train:
        example.ids, example.trained  # uint32[T], bool[T]
    print(chats.train.counts.dropped)
"""

from cllm.chat.chats import Chats, Examples, open_chats
from cllm.chat.encode import Encoded
from cllm.chat.template import ChatTemplate, Templates, find_templates

__all__ = ["ChatTemplate", "Chats", "Encoded", "Examples", "Templates", "find_templates",
           "open_chats"]
