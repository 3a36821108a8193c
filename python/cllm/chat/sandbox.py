"""What a chat template can call: as in transformers, in a sandbox, because models bring it."""

import json
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from cllm.chat.jinja import Span


class Generation(Extension):
    """The tag {% generation %}: what the block holds is rendered as it is, and its place is kept.
    Who renders adds to `at` what comes out."""

    tags = {"generation"}  # noqa: RUF012

    def begin(self) -> None:
        self.at = 0  # characters that were rendered before
        self.spans: list[Span] = []

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_kept"), [], [], body).set_lineno(line)

    def _kept(self, caller: Any) -> str:
        text: str = caller()
        self.spans.append((self.at, self.at + len(text)))
        return text


class CheckedNamespace(Namespace):
    """Holds no name that leads into Python."""

    def __init__(*args: Any, **entries: Any) -> None:  # an entry may be called self
        given = dict(*args[1:], **entries)
        Namespace.__init__(args[0], {_checked(name): value for name, value in given.items()})

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(_checked(name), value)


def _checked(name: Any) -> Any:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace takes no name that begins with _: got {name}")
    return name


class Dictionaries:
    """`dict` to call, without what hangs on the class."""

    def __call__(self, *args: Any, **entries: Any) -> dict[Any, Any]:
        return dict(*args, **entries)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None,
             separators: tuple[str, str] | None = None, sort_keys: bool = False) -> str:
    """Without the escapes that pages of HTML want."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def compiled(source: str) -> tuple[jinja2.Template, Generation]:
    """The template, in an environment of its own, and what keeps the places of its marks."""
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[
        Generation, "jinja2.ext.loopcontrols"])
    made.filters["tojson"] = _to_json
    made.globals |= {"raise_exception": _raise, "strftime_now": _now, "dict": Dictionaries(),
                     "namespace": CheckedNamespace}
    marks = made.extensions[Generation.identifier]
    assert isinstance(marks, Generation)
    return made.from_string(source), marks
