"""Rows of the option table as options of a command."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

import cllm
from cllm import _cllm

Given = list[tuple[str, str]]  # names as typed, with dashes, and texts


def option_name(name: str) -> str:
    """The option's own name, for any of its names."""
    key = name.replace("-", "_")
    return next((option.name for option in cllm.options()
                 if key == option.key or key in option.aliases), name)


def by_name(given: Given) -> dict[str, str]:
    """Values by the options' own names, an alias that stands for a value included."""
    found = {}
    for name, text in given:
        own, key = option_name(name), name.replace("-", "_")
        values = next((option.alias_values for option in cllm.options() if option.name == own), {})
        if key in values and text == "true":
            text = values[key]
        elif key in values and text == "false":
            continue
        found[own] = text
    return found


def generate_option(name: str) -> Any:
    """An option of `cllm generate`, as run_model has it."""
    explained = next(text for known, _, text in _cllm.generate_options() if known == name)
    return typer.Option(help=f"{explained[0].upper()}{explained[1:]}.")


def generate_context() -> dict[str, Any]:
    """Makes other programs' names of an option stand for it."""
    names = {other: name for name, others, _ in _cllm.generate_options() for other in others}

    def normal(typed: str) -> str:
        name = typed.replace("_", "-")
        return names.get(name, name)

    return {"token_normalize_func": normal}


def _choices(option: cllm.Option) -> Callable[[str], list[str]] | None:
    """What a shell may complete a value with."""
    if not option.choices:
        return None

    def complete(incomplete: str) -> list[str]:  # typer goes by the parameter's name
        return [choice for choice in option.choices if choice.startswith(incomplete)]

    return complete


def _annotation(option: cllm.Option, alias: str | None = None, *, flag: bool) -> Any:
    """What typer is told about an option or another name of it; texts go to the engine as they
    are. Values are lists, so that the engine sees an option that is given twice."""
    explained = option.explained
    return Annotated[
        bool if flag else list[str] | None,
        typer.Option(f"--{(alias or option.name).replace('_', '-')}",
                     help=f"{explained[0].upper()}{explained[1:]}.",
                     metavar=None if flag else (option.unit or option.type).upper(),
                     rich_help_panel=option.group, hidden=alias is not None,
                     autocompletion=None if flag else _choices(option),
                     show_default=False if flag else option.default or False)]


def _parameters(option: cllm.Option) -> list[inspect.Parameter]:
    def parameter(alias: str | None, flag: bool) -> inspect.Parameter:
        return inspect.Parameter(alias or option.key, inspect.Parameter.KEYWORD_ONLY,
                                 default=False if flag else None,
                                 annotation=_annotation(option, alias, flag=flag))

    flag = option.type == "flag"
    return [parameter(None, flag),
            *(parameter(name, flag or name in option.alias_values) for name in option.aliases)]


def with_options(names: Sequence[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command these options of the table, as a list of (name, text) called `given`."""
    table = [parameter for option in cllm.options() if option.name in names
             for parameter in _parameters(option)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [parameter for parameter in inspect.signature(command).parameters.values()
               if parameter.name != "given"]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            given: Given = []
            for parameter in table:
                value = values.pop(parameter.name)
                texts = ["true"] if value is True else value or []
                given += [(parameter.name.replace("_", "-"), text) for text in texts]
            command(given=given, **values)

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + table
        shown: Any = run
        shown.__signature__ = inspect.Signature(parameters)
        shown.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate
