"""What was typed after a command: what does not belong there, and flags with a value."""

from collections.abc import Callable, Iterator
from typing import Any

from cllm import _cllm
from cllm._cllm import InputError

_TABLE_FLAGS = {name for option in _cllm.options()
                for name in (option.key, *option.aliases)
                if option.type == "flag" or name in option.alias_values}


def _hint(command: str, name: str, known: list[str]) -> str:
    if command == "train":
        return _cllm.unknown_option_hint(name, known)
    if command == "generate":
        return _cllm.unknown_generate_option_hint(name)
    near = _cllm.near_name(name, known)
    return f"did you mean --{near}?" if near else "see --help"


def _options(ctx: Any, args: list[str]) -> Iterator[tuple[str, str, Any]]:
    """Word, name with dashes, and parameter (None: unknown) of each option; values are passed
    over."""
    parameters = {name: parameter for parameter in ctx.command.get_params(ctx)
                  for name in (*parameter.opts, *parameter.secondary_opts)}
    is_value = False
    for word in args:
        if word == "--":
            return
        if is_value or not word.startswith("-") or word[1:2] in "0123456789.":
            is_value = False
            continue
        name, equals, _ = word.partition("=")
        if name.startswith("--"):
            name = "--" + ctx.token_normalize_func(name[2:])
        elif word[:2] in parameters:  # the value may follow at once: -oFILE
            name, equals = word[:2], word[2:]
        parameter = parameters.get(name)
        is_value = parameter is not None and not parameter.is_flag and not equals
        yield word, name, parameter


def _refuse_unknown(ctx: Any, args: list[str]) -> None:
    names = dict.fromkeys(name for _, name, found in _options(ctx, args) if found is None)
    if not names:
        return
    parameters = ctx.command.get_params(ctx)
    known = [name.lstrip("-") for parameter in parameters
             if parameter.param_type_name == "option" for name in parameter.opts]
    values = {f"--{parameter.name}": parameter.metavar or parameter.name.upper()
              for parameter in parameters if parameter.param_type_name == "argument"}
    said = [f"{name} ({_hint(ctx.command.name, name, known)})" if name not in values else
            f"{name} ({values[name]} is given without a name, as a value)" for name in names]
    raise InputError(f"command line: unknown option{'s' if len(said) > 1 else ''}: got "
                     + ", ".join(said))


def _refuse_repeated(ctx: Any, args: list[str]) -> None:
    """Those of the table are lists, which the engine looks at."""
    seen: dict[str, str] = {}
    for word, _, found in _options(ctx, args):
        if found is None or found.multiple or found.is_eager:
            continue
        typed = word.partition("=")[0].replace("_", "-") if word[:2] == "--" else word[:2]
        if found.name in seen:
            _cllm.refuse_repeated_option(seen[found.name], typed)
        seen[found.name] = typed


def _take_flag_values(ctx: Any, args: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Takes what typer refuses out of the words: --bf16=false, where bf16 is of the table."""
    values = [(word, found.name) for word, _, found in _options(ctx, args)
              if found is not None and found.is_flag and found.name in _TABLE_FLAGS
              and "=" in word]
    words = {word for word, _ in values}
    return ([word for word in args if word not in words],
            [(name, word.partition("=")[2]) for word, name in values])


def parse(ctx: Any, args: list[str],
          parse_rest: Callable[[Any, list[str]], list[str]]) -> list[str]:
    """Parses as a command of typer does. All options that are unknown are named in one error, in
    the words of train_model, and a flag of the option table may have a value."""
    if ctx.resilient_parsing:  # a shell asks what could come
        return parse_rest(ctx, args)
    _refuse_unknown(ctx, args)
    _refuse_repeated(ctx, args)
    args, values = _take_flag_values(ctx, args)
    ctx.allow_extra_args = True
    rest = parse_rest(ctx, args)
    if rest:
        raise InputError(f'command line: a value without an option: got "{rest[0]}", expected '
                         "--OPTION VALUE (see --help)")
    for name, text in values:
        before = ctx.params[name]
        ctx.params[name] = [*(["true"] if before is True else before or []), text]
    return rest
