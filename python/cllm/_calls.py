"""Says in one line what is wrong with a call of the engine. It is asked only after one failed."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cllm import _cllm

Fits = Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    """Whether it is one that fits into 64 bits."""
    return hasattr(value, "__index__") and -2**63 <= value.__index__() < 2**63


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _all(fits: Fits) -> Fits:
    return lambda values: (isinstance(values, Iterable) and not isinstance(values, str)
                           and all(map(fits, values)))


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_text, value))


# Types as pybind11 writes them: what an argument should be, and whether one is.
_KINDS: dict[str, tuple[str, Fits]] = {
    "typing.SupportsInt | typing.SupportsIndex": ("an integer", _is_integer),
    "typing.SupportsFloat | typing.SupportsIndex": (
        "a number", lambda value: hasattr(value, "__float__")),
    "str": ("a text", _is_text),
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "str | os.PathLike[str]": (
        "a path", lambda value: isinstance(value, str | bytes) or hasattr(value, "__fspath__")),
    "collections.abc.Sequence[str]": ("a list of texts", _all(_is_text)),
    "collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]": (
        "a list of integers", _all(_is_integer)),
    "collections.abc.Sequence[tuple[str, str]]": (
        "a list of pairs (name, text)", _all(_is_pair)),
}


class _Parameter:
    def __init__(self, text: str) -> None:
        declared, equals, _ = text.partition(" = ")
        self.name, _, kind = declared.partition(": ")
        self.required = not equals
        self.optional = kind.endswith(" | None")
        self.kind = kind.removesuffix(" | None")

    @property
    def wanted(self) -> str:
        if self.kind in _KINDS:
            words = _KINDS[self.kind][0]
        else:
            name = self.kind.removeprefix("cllm._cllm.")
            words = f"a cllm.{name}" if name != self.kind else self.kind
        return words + (", or None" if self.optional else "")

    def fits(self, value: object) -> bool:
        """Whether the value is of this type, as far as that can be said."""
        if value is None:
            return self.optional or self.kind in ("", "typing.Any", "object")
        if self.kind in _KINDS:
            return _KINDS[self.kind][1](value)
        cls = getattr(_cllm, self.kind.removeprefix("cllm._cllm."), None)
        return cls is None or isinstance(value, cls)


def _meant(name: str, names: list[str]) -> str:
    """The argument that is near, or that other programs call so."""
    also = (option.key for option in _cllm.options() if name in option.aliases)
    return next((key for key in also if key in names), "") or _cllm.near_name(name, names)


def _split(text: str) -> Iterator[str]:
    """The parts between commas, but not between those inside brackets or quotes."""
    depth, quoted, part = 0, False, ""
    for c in text:
        quoted ^= c == "'"
        depth += (c in "([{") - (c in ")]}") if not quoted else 0
        if c == "," and depth == 0 and not quoted:
            yield part.strip()
            part = ""
        else:
            part += c
    if part.strip():
        yield part.strip()


class _Signature:
    """One of the ways to call a function."""

    def __init__(self, line: str) -> None:
        inside = line[line.index("(") + 1:line.rindex(")", 0, _end(line))]
        parts = list(_split(inside))
        self.is_method = bool(parts) and parts[0].startswith("self: ")
        parts = parts[self.is_method:]
        star = parts.index("*") if "*" in parts else len(parts)
        self.takes_any_keyword = "**kwargs" in parts
        known = [part for part in parts if not part.startswith("*")]
        self.parameters = [_Parameter(part) for part in known]
        self.positional = self.parameters[:min(star, len(known))]

    def problem(self, given: tuple[Any, ...], keywords: dict[str, Any]) -> str | None:
        """What is wrong, seen and wanted; None where nothing is found."""
        names = [parameter.name for parameter in self.parameters]
        if len(given) > len(self.positional):
            return self._too_many(given)
        for name in keywords:
            if name not in names and not self.takes_any_keyword:
                near = _meant(name, names)
                hint = f" (did you mean {near}?)" if near else ""
                return f"no such argument: got {name}, expected {', '.join(names) or 'none'}{hint}"
        values = dict(zip(names, given, strict=False))
        for name in keywords:
            if name in values:
                return f"an argument is given twice: got {name}, expected it once"
        values |= keywords
        for each in self.parameters:
            if each.required and each.name not in values:
                return f"an argument is missing: expected {each.name}, {each.wanted}"
        for each in self.parameters:
            if each.name in values and not each.fits(values[each.name]):
                return (f"{each.name} does not fit: got {_shown(values[each.name])}, expected "
                        f"{each.wanted}")
        return None

    def _too_many(self, given: tuple[Any, ...]) -> str:
        seen = _shown(given[len(self.positional)])
        if self.takes_any_keyword:
            return f"an argument without a name: got {seen}, expected options, as in layers=4"
        names = [p.name for p in self.parameters if p not in self.positional]
        if names:
            return (f"an argument without a name: got {seen}, expected one of "
                    f"{', '.join(name + '=' for name in names)}")
        count = len(self.positional)
        return f"too many arguments: got {len(given)}, expected {count or 'none'}"


def _end(line: str) -> int:
    arrow = line.rfind(" -> ")
    return arrow if arrow >= 0 else len(line)


def _shown(value: object) -> str:
    text = reprlib.Repr()
    text.maxstring = text.maxother = 60
    return text.repr(value)


def explain(text: str, given: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """Makes one line of pybind11's message, from the arguments of the call."""
    name, _, rest = text.partition("(): ")
    lines = rest.partition("\nInvoked with: ")[0].splitlines()[1:]
    lines = [line.partition(". ")[2] for line in lines if line.strip()]
    is_constructor = "incompatible constructor" in text
    signatures = [_Signature(line) for line in lines]
    if is_constructor or signatures[0].is_method:
        owner = type(given[0]).__name__ if given else "cllm"
        name = owner if is_constructor else f"{owner}.{name}"
        given = given[1:]
    problems = [signature.problem(given, keywords) for signature in signatures]
    if len(signatures) > 1 and all(problems) and len(set(problems)) > 1:
        first = signatures[0].positional[0], signatures[1].positional[0]
        if not any(each.name in keywords or (given and each.fits(given[0])) for each in first):
            wanted = " or ".join(f"{each.name}, {each.wanted}" for each in first)
            seen = f"got {_shown(given[0])}" if given else "got nothing"
            return f"{name}: the first argument does not fit: {seen}, expected {wanted}"
        fitting = [problem for problem, each in zip(problems, first, strict=False)
                   if each.name in keywords or (given and each.fits(given[0]))]
        problems = list(fitting) or problems
    found = next(filter(None, problems), None)
    if found is None:
        return (f"{name}: the arguments do not fit: got {_shown(given)[:200]}, expected "
                f"({', '.join(f'{p.name}: {p.wanted}' for p in signatures[0].parameters)})")
    return f"{name}: {found}"
