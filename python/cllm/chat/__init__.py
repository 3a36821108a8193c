"""Conversations: with a model, as `cllm chat` holds them, and as examples to learn from.

Examples become tokens of which only the answers are trained, as by `cllm prepare --chat`::

    from cllm.chat import open_chats

    chats = open_chats("questions.jsonl", "model")
    for example in chats.train:
        example.ids, example.trained  # uint32[T], bool[T]
    print(chats.train.counts.dropped)

or, with `--out`, a data set that is trained on like any other::

    prepare_chats("questions.jsonl", "set", model="model")
"""

from cllm.chat.chats import Chats, Examples, open_chats
from cllm.chat.data_set import prepare_chats, write_chats
from cllm.chat.dialogue import Dialogue
from cllm.chat.encode import Encoded
from cllm.chat.template import ChatTemplate, Templates, find_templates

__all__ = ["ChatTemplate", "Chats", "Dialogue", "Encoded", "Examples", "Templates",
           "find_templates", "open_chats", "prepare_chats", "write_chats"]
