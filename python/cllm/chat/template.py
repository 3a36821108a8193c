"""The chat template of a model: where it is, and conversations rendered by it."""

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cllm._cllm import InputError
from cllm._words import option
from cllm.chat.example import USER, Dropped, Message
from cllm.chat.jinja import Span, Template
from cllm.prepare.tokenizers import read_json, token_name

FILE, MORE = "chat_template.jinja", "additional_chat_templates"
LARGEST = 1 << 24  # bytes of a template
CHATML = (  # for models that know its tokens and no template
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")

_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
            "mask_token")
_MARK = re.compile(r"\{%-?\s*generation\s*-?%\}")
_PROBE = "a text that is looked for"
_THOUGHTS = ("reasoning_content", "thinking", "reasoning")  # names of one thing


@dataclass(frozen=True)
class ChatTemplate:
    """Makes one text of the messages of a conversation."""

    source: str
    """Its text, in Jinja."""
    place: str
    """Where it is from, for people."""
    special: dict[str, str] = field(default_factory=dict)
    """Names of tokens that it may use, such as that of "eos_token"."""

    @property
    def marks(self) -> bool:
        """Whether it says itself which part of a text the model writes."""
        return _MARK.search(self.source) is not None

    @cached_property
    def _compiled(self) -> Template:
        return Template(self.source, self.place)

    def render(self, messages: list[Message], tools: list[Any] | None = None, *,
               prompt: bool = False) -> tuple[str, list[Span]]:
        """The text of the messages, with `prompt` up to where an answer begins, and the spans of
        characters that are marked in the template. Raises Dropped where it does not take them."""
        if self._wants_parts:
            messages = [_in_parts(message) for message in messages]
        return self._render(messages, tools, prompt)

    def _render(self, messages: list[Message], tools: list[Any] | None = None,
                prompt: bool = False) -> tuple[str, list[Span]]:
        return self._compiled.render({
            **self.special, "messages": [_with_thoughts(message) for message in messages],
            "tools": tools, "documents": None, "add_generation_prompt": prompt})

    @cached_property
    def _wants_parts(self) -> bool:
        """Whether it shows a content that is a list of parts and none that is a text, as templates
        of models that see do."""
        asked = {"role": USER, "content": _PROBE}
        return not self._shows_probe(asked) and self._shows_probe(_in_parts(asked))

    def _shows_probe(self, message: Message) -> bool:
        try:
            return _PROBE in self._render([message])[0]
        except Dropped:
            return False

    def check(self) -> None:
        """Raises InputError unless it can be compiled."""
        _ = self._compiled


def _in_parts(message: Message) -> Message:
    if not isinstance(message.get("content"), str):
        return message
    return message | {"content": [{"type": "text", "text": message["content"]}]}


def _with_thoughts(message: Message) -> Message:
    """What a model thought has names of its own in some files and in some templates."""
    found = next((message[key] for key in _THOUGHTS if message.get(key) is not None), None)
    return message if found is None else {"thinking": found, **message, "reasoning_content": found}


@dataclass(frozen=True)
class Templates:
    """The templates of a model, which may have several."""

    named: dict[str, ChatTemplate]
    """By name; one is "default"."""

    def of(self, tools: list[Any] | None) -> ChatTemplate:
        """The one that transformers takes."""
        if tools is not None and "tool_use" in self.named:
            return self.named["tool_use"]
        return self.named["default"]


def find_templates(folder: Path, chosen: str | None = None, *, vocabulary: set[str] | None = None,
                   ) -> Templates:
    """The templates of a model's folder: chat_template.jinja, else what tokenizer_config.json
    says, else ChatML where the vocabulary has its tokens. `chosen` is a file, or the name of one of
    several. Raises InputError where there is none."""
    config = _object(folder / "tokenizer_config.json")
    special = special_tokens(folder, config)
    sources = _in_files(folder) or _in_config(config, folder / "tokenizer_config.json")
    if chosen is not None:
        if chosen in sources and not Path(chosen).is_file():
            sources = {"default": sources[chosen]}
        else:
            sources = {"default": (_read(Path(chosen), sources), chosen)}
    elif not sources and vocabulary is not None and vocabulary.issuperset(CHATML_TOKENS):
        sources = {"default": (CHATML, "ChatML, because the model has its tokens and no template")}
    if not sources:
        raise InputError(f"{folder}: no chat template: got neither {FILE} nor one in "
                         "tokenizer_config.json, expected a model that was made for conversations, "
                         f"or {option('chat-template', 'FILE')} with one in Jinja")
    if "default" not in sources:
        raise InputError(f"{folder}: several chat templates: got {', '.join(sorted(sources))}, "
                         f"expected {option('chat-template')} with one of these names")
    made = Templates({name: ChatTemplate(source, place, special)
                      for name, (source, place) in sources.items()})
    for template in made.named.values():
        template.check()
    return made


def special_tokens(folder: Path, config: dict[str, Any]) -> dict[str, str]:
    """The names of tokens that a template may use."""
    named = {key: config.get(key) for key in _SPECIAL}
    if "added_tokens_decoder" not in config:  # as it was kept before
        named |= _object(folder / "special_tokens_map.json")
    return {key: name for key in _SPECIAL if (name := token_name(named.get(key))) is not None}


def _object(file: Path) -> dict[str, Any]:
    """The settings in a file, which need not be there."""
    if not file.is_file():
        return {}
    content = read_json(file)
    if not isinstance(content, dict):
        raise InputError(f"{file}: no object of settings: got {type(content).__name__}")
    return content


def _in_files(folder: Path) -> dict[str, tuple[str, str]]:
    files = {"default": folder / FILE} if (folder / FILE).is_file() else {}
    files |= {file.stem: file for file in sorted((folder / MORE).glob("*.jinja"))}
    return {name: (_read(file, {}), str(file)) for name, file in files.items()}


def _in_config(config: dict[str, Any], file: Path) -> dict[str, tuple[str, str]]:
    found = named = config.get("chat_template")
    if found is None:
        return {}
    if isinstance(found, str):
        named = {"default": found}
    elif isinstance(found, list) and all(isinstance(one, dict) for one in found):
        named = {str(one.get("name")): one.get("template") for one in found}
    if not isinstance(named, dict) or not named or not all(
            isinstance(source, str) for source in named.values()):
        raise InputError(f"{file}: chat_template is none: got {json.dumps(found)[:60]}, expected a "
                         "text, or name and template of each")
    return {name: (source, str(file)) for name, source in named.items()}


def _read(file: Path, names: dict[str, Any]) -> str:
    try:
        content = file.read_bytes()[:LARGEST + 1] if file.is_file() else b""
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    if not file.is_file():
        among = f", or one of {', '.join(sorted(names))}" if names else ""
        raise InputError(f"{option('chat-template')}: no such file: got {file}, expected a "
                         f"template in Jinja{among}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not utf-8 at byte {error.start}: expected a template in Jinja"
                         ) from None
    if not text.strip() or len(content) > LARGEST:
        raise InputError(f"{file}: no chat template: got {len(content)} bytes, expected a template "
                         "in Jinja")
    # Text files are read so: a template from Windows ends its lines as others do.
    return text.replace("\r\n", "\n").replace("\r", "\n")
