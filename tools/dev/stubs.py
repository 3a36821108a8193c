"""Writes python/cllm/_cllm.pyi, which editors and type checkers read instead of the module.

    .venv/bin/python tools/dev/stubs.py [--check]

pybind11-stubgen writes what the signatures and docstrings of the built module say. Two things are
made here: TrainConfig, whose keywords and attributes are the rows of the option table, and the
spelling of types. --check compares and writes nothing. The module is the one that `import cllm`
finds; run it again after every change of the bindings or of the option table.
"""

import argparse
import ast
import importlib
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

STUB = Path(__file__).resolve().parents[2] / "python/cllm/_cllm.pyi"
MODULE = "cllm._cllm"

# How pybind11 spells types, and how a reader would.
SPELLINGS = {
    "typing.SupportsInt | typing.SupportsIndex": "int",
    "typing.SupportsFloat | typing.SupportsIndex": "float",
    "numpy.typing.ArrayLike": "ArrayLike",
    "numpy.typing.NDArray": "NDArray",
    "numpy.": "np.",
    "collections.abc.": "",
    "typing.": "",
    "os.PathLike": "PathLike",
    "-> dict:": "-> dict[str, Any]:",
    "str | PathLike[str] | bytes | NDArray[np.integer[Any]] | Iterable[str] | Iterable[bytes] | "
    "Iterable[int] | Iterable[Sequence[int]]": "_Data",
    "str | PathLike[str]": "_Path",
    "__eq__(self, other: Any) -> Any": "__eq__(self, other: object) -> bool",
    "(self, *args)": "(self, *args: object)",
    "(cls, value):": "(cls, value: object) -> Self:",
}
# What every object has, or only pickle calls.
HIDDEN = {"__all__", "__getstate__", "__setstate__", "__reduce_ex__", "__setattr__", "__new__",
          "__signature__"}
OPENING = '''"""The engine of cllm. Shapes: B sequences, T tokens, V' words.

tools/dev/stubs.py writes this file.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any, ClassVar, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Path: TypeAlias = str | PathLike[str]
_Data: TypeAlias = (
    str
    | PathLike[str]
    | bytes
    | NDArray[np.integer[Any]]
    | Iterable[str]
    | Iterable[bytes]
    | Iterable[int]
    | Iterable[Sequence[int]]
)

'''
OTHER_NAMES = "Names with the default `...` are other names of an option, and unset unless given."
REPLACE = "Returns a copy with other values for some keys; those that are not given stay."
TYPES = {"text": "str", "integer": "int", "real": "float", "flag": "bool"}


def generated():
    """What pybind11-stubgen makes of the module, as a syntax tree."""
    module = importlib.import_module(MODULE)
    for thing in vars(module).values():  # cllm says that they are its own
        if isinstance(thing, type):
            thing.__module__ = MODULE
    stubgen = importlib.import_module("pybind11_stubgen")
    with tempfile.TemporaryDirectory() as folder:
        stubgen.main(["--output-dir", folder, "--enum-class-locations", "RunOutcome:cllm", MODULE])
        text = (Path(folder) / "cllm/_cllm.pyi").read_text()
    for pybind, ours in SPELLINGS.items():
        text = text.replace(pybind, ours)
    return ast.parse(text)


# -- TrainConfig --------------------------------------------------------------------------------


def shown(option):
    """The type of an option's attribute."""
    if option.choices:
        return f"Literal[{', '.join(map(repr, option.choices))}]"
    if option.name in ("data", "val"):
        return "Any"
    return TYPES[option.type] + (' | Literal["auto"]' if option.may_be_auto else "")


def accepted(option):
    """The type of what may be assigned to it."""
    if option.name in ("data", "val"):
        return "_Data"
    if option.unit == "NAMES":
        return "str | Sequence[str]"
    return "_Path" if option.type == "text" and not option.choices else shown(option)


def default(option):
    text = option.default
    if option.type == "flag":
        return text.capitalize()
    if option.type == "text" or text == "auto":
        return repr(text)
    return text


def meaning(option):
    unit = f" [{option.unit}]" if option.unit else ""
    return f"{option.help[0].upper()}{option.help[1:]}{unit}; {default(option)} by default."


def keywords(options, default=default):
    """Every option by its name, then every other name that is accepted for one."""
    lines = [f"{o.key}: {accepted(o)} = {default(o)}," for o in options]
    lines += [f"{alias}: {type_of_alias(o, alias, accepted)} = ...,"
              for o in options for alias in o.aliases]
    return "\n".join(lines)


def type_of_alias(option, alias, type_of):
    """A flag may stand for one value of another option, as bf16 does."""
    return "bool" if alias in option.alias_values else type_of(option)


def table_of_options(options):
    lines = [f"{o.key}: {meaning(o)}" for o in options]
    return "\n".join(textwrap.fill(line, 90, subsequent_indent="    ") for line in lines)


def attribute(name, shown_type, accepted_type, document):
    document = textwrap.indent(f'"""{textwrap.fill(document, 85)}"""', "    ")
    return (f"@property\ndef {name}(self) -> {shown_type}:\n{document}\n"
            f"@{name}.setter\ndef {name}(self, value: {accepted_type}) -> None: ...")


def train_config(options):
    """The methods that come from the option table."""
    init = (f"def __init__(self, *,\n{keywords(options)}\n) -> None:\n"
            + textwrap.indent(f'"""\n{OTHER_NAMES}\n\n{table_of_options(options)}\n"""', "    "))
    replace = (f"def replace(self, *,\n{keywords(options, lambda option: '...')}\n"
               ") -> TrainConfig:\n" + textwrap.indent(f'"""{REPLACE}"""', "    "))
    parts = [init, replace]
    for o in options:
        parts.append(attribute(o.key, shown(o), accepted(o), meaning(o)))
        for alias in o.aliases:
            value = o.alias_values.get(alias)
            parts.append(attribute(
                alias, type_of_alias(o, alias, shown), type_of_alias(o, alias, accepted),
                f"Whether {o.key} is {value}." if value else f"Another name of {o.key}."))
    return [node for part in parts for node in ast.parse(part).body]


# -- all of it ----------------------------------------------------------------------------------


def is_from_table(node, keys):
    """Whether the table says better what a member of TrainConfig is."""
    return isinstance(node, ast.FunctionDef) and node.name in {"__init__", "replace", *keys}


def name_of(node):
    target = getattr(node, "target", None)
    return ast.unparse(target) if target else getattr(node, "name", "")


def is_noise(node):
    return isinstance(node, ast.Import | ast.ImportFrom) or name_of(node) in HIDDEN


def plain(node):
    """Assignments as a stub has them: members of an enumeration have values, others have types."""
    if not isinstance(node, ast.AnnAssign):
        return node
    if ast.unparse(node.annotation) == "ClassVar[RunOutcome]":
        return ast.parse(f"{name_of(node)} = ...").body[0]
    node.value = None
    return node


def without_padding(text):
    """Docstrings begin on the line of their quotes, and short ones end there."""
    text = re.sub(r'"""\n +(?=\S)', '"""', text)
    return re.sub(r'^( +""".*[^\s"])\n +"""$', r'\1"""', text, flags=re.MULTILINE)


def shorten(node):
    """Takes the list of options, which stands in the stub already, out of a class's docstring."""
    text = node.body[0].value
    text.value = re.split(r"\n\s*Options:\n", text.value)[0].rstrip()


def tidy(tree, options):
    keys = {name for option in options for name in (option.key, *option.aliases)}
    body = [plain(node) for node in tree.body if not is_noise(node)]
    for node in body:
        if not isinstance(node, ast.ClassDef):
            continue
        node.body = [plain(n) for n in node.body if not is_noise(n)]
        if node.name in ("TrainConfig", "ModelConfig"):
            shorten(node)
            node.body[1:] = [n for n in node.body[1:] if not isinstance(n, ast.Expr)]
        if node.name == "TrainConfig":
            kept = [n for n in node.body if not is_from_table(n, keys)]
            at = 1 if isinstance(kept[0], ast.Expr) else 0
            node.body = kept[:at] + train_config(options) + kept[at:]
    if isinstance(body[0], ast.Expr):
        body = body[1:]
    return ast.unparse(ast.Module(body, []))


def stub():
    cllm = importlib.import_module("cllm")
    text = OPENING + tidy(generated(), cllm.options())
    ruff = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "100",
            "--stdin-filename", STUB.name, "-"]
    found = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return without_padding(found).replace(
        "__hash__: ClassVar[None]", "__hash__: ClassVar[None]  # type: ignore[assignment]")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    text = stub()
    if not options.check:
        STUB.write_text(text)
    elif STUB.read_text() != text:
        sys.exit(f"{STUB.name} is not what the module says; run tools/dev/stubs.py")


if __name__ == "__main__":
    main()
