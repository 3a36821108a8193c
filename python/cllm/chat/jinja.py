"""A chat template, compiled. jinja2 is imported with the first, because few programs need it."""

from typing import Any

from cllm._cllm import InputError
from cllm.chat.example import Dropped

REFUSED = "that the template refuses"
OLDEST = (3, 1, 6)  # before it templates could leave the sandbox

Span = tuple[int, int]  # characters from one to before the other


class Template:
    """A compiled template. `place` is where it is from, for people."""

    def __init__(self, source: str, place: str) -> None:
        jinja2 = _library()
        from cllm.chat.sandbox import compiled

        try:
            self._template, self._marks = compiled(source)
        except jinja2.TemplateSyntaxError as error:
            raise InputError(f"{place}: no chat template: line {error.lineno}: {error.message}"
                             ) from None
        except (jinja2.TemplateError, RecursionError) as error:
            raise InputError(f"{place}: no chat template: {error}") from None

    def render(self, variables: dict[str, Any]) -> tuple[str, list[Span]]:
        """The text, and where the blocks of {% generation %} stand in it. Raises Dropped where the
        template does not take the messages."""
        self._marks.begin()
        pieces = []
        try:
            for piece in self._template.generate(variables):
                pieces.append(piece)
                self._marks.at += len(piece)
        except Exception as error:  # whatever a template does to its messages
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise Dropped(REFUSED, reason) from None
        return "".join(pieces), self._marks.spans


def _library() -> Any:
    try:
        import jinja2
    except ImportError:
        raise InputError("chat templates need jinja2, which is not installed: pip install jinja2"
                         ) from None
    version = tuple(int(part) for part in jinja2.__version__.split(".")[:3] if part.isdigit())
    if version < OLDEST:
        raise InputError(f"chat templates need jinja2 3.1.6: got {jinja2.__version__}, expected "
                         "pip install -U jinja2")
    return jinja2
