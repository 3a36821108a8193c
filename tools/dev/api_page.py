#!/usr/bin/env python3
"""Writes python/README.md, the page of the Python interface, from signatures and docstrings.

Usage: api_page.py [--check]     --check writes nothing and fails when the page is not up to date

It reads the package's Python files and the stub _cllm.pyi (made by tools/dev/stubs.py) as text, so
nothing has to be built.
"""

import argparse
import ast
import inspect
import itertools
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "python/README.md"
PACKAGE = ROOT / "python/cllm"
WIDTH, PAGE_WIDTH = 100, 110

# What belongs together, in the order of a reader's questions. A public name that is not listed
# stands under the last heading.
SECTIONS = {
    "Training": ["TrainConfig", "Trainer", "EarlyStopping", "RunOutcome"],
    "Models": ["Model", "ModelConfig"],
    "Reports": ["StepReport", "EvaluationReport", "SphereReport", "GroupReport",
                "RingReport"],
    "Errors": ["InputError", "CllmError", "CllmWarning"],
    "Options": ["options", "configure", "Option"],
    "Plans and predictions": ["plan_tree", "threads_for_workers", "TreePlan", "SpherePlan",
                              "plan_step", "StepPlan", "predict_step", "StepForecast"],
    "Measurements": ["measure_step", "StepTimes", "Machine", "MachineRates", "KernelTime"],
    "Other names": [],
}

# Modules to import on their own: the files where their public names are defined.
MODULES = {"cllm.prepare": ["prepare/__init__.py", "prepare/work.py"],
           "cllm.chat": ["chat/__init__.py", *(f"chat/{file}.py" for file in (
               "chats", "data_set", "dialogue", "encode", "template"))],
           "cllm.token_files": ["token_files.py", "_cllm.pyi"],
           "cllm.lattice": ["lattice.py"]}

OPENING = """# The Python interface of CLLM

<!-- Made by tools/dev/api_page.py from the docstrings of the package; edit those. -->

[README.md](../README.md) shows how to begin, [examples](examples) holds short programs. `Data` is
what `TrainConfig(data=...)` takes: a path, a text, texts, or ids of tokens. `Ids` are ids alone."""
FROM_TRANSFORMERS = """TrainConfig takes the names of TrainingArguments and GPT2Config, too: its
table has them as *other names*."""


# -- reading ------------------------------------------------------------------------------------

def definitions(files=None):
    """Classes and functions by name, as syntax: of the package's Python files, then of the stub."""
    found = {}
    for file in files or [*sorted(PACKAGE.glob("*.py")), PACKAGE / "_cllm.pyi"]:
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                found.setdefault(node.name, []).append(node)
    return found


def package(file="__init__.py"):
    """The docstring and the public names of the package, or of a module."""
    tree = ast.parse((PACKAGE / file).read_text())
    names = next(ast.literal_eval(node.value) for node in tree.body
                 if isinstance(node, ast.Assign) and node.targets[0].id == "__all__")
    return ast.get_docstring(tree), [name for name in names if not name.startswith("_")]


def words(*nodes):
    """The first docstring that one of the definitions has."""
    return next(filter(None, map(ast.get_docstring, nodes)), "")


def decorators(node):
    return {ast.unparse(item).split(".")[-1] for item in node.decorator_list}


def own_attributes(function):
    """What __init__ sets and describes: {name: (type, words)}."""
    found = {}
    for line, text in itertools.pairwise(function.body):
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        text = text.value if isinstance(text, ast.Expr) else None
        if isinstance(target, ast.Attribute) and isinstance(text, ast.Constant):
            found[target.attr] = ("", inspect.cleandoc(text.value))
    return found


def fields(node):
    """What a dataclass holds and describes: {name: (type, words)}."""
    return {line.target.id: (annotation(line.annotation), inspect.cleandoc(text.value.value))
            for line, text in itertools.pairwise(node.body)
            if isinstance(line, ast.AnnAssign) and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)}


def members(nodes):
    """Public attributes {name: (type, words)} and methods {name: [definitions]} of a class."""
    attributes, methods = {}, {}
    for node in nodes:
        attributes.update(fields(node))
        here = {}
        for item in node.body:
            if not isinstance(item, ast.FunctionDef) or "setter" in decorators(item):
                continue
            if item.name == "__init__":
                attributes.update(own_attributes(item))
            elif item.name.startswith("_"):
                continue
            elif "property" in decorators(item):
                attributes.setdefault(item.name, (annotation(item.returns), words(item)))
            else:
                here.setdefault(item.name, []).append(item)
        for name, functions in here.items():
            methods.setdefault(name, functions)
    return attributes, methods


# -- writing ------------------------------------------------------------------------------------

def as_markdown(text):
    """A docstring in Markdown: a block after `::` becomes a fence, `Args:` a list."""
    def fence(match):
        return f":\n\n```python\n{textwrap.dedent(match[1]).strip()}\n```\n\n"

    def arguments(match):
        entries = re.split(r"\n(?=\w)", textwrap.dedent(match[1]).strip())
        return "\n".join(re.sub(r"\A(\w+): ", r"- `\1`: ", re.sub(r"\n +", "\n  ", entry))
                         for entry in entries) + "\n"

    text = re.sub(r"::\n\n((?:(?: {4}[^\n]*)?(?:\n|\Z))+)", fence, text)
    text = re.sub(r"^:\n+", "", text, flags=re.MULTILINE)  # it stood alone, before a block
    return re.sub(r"^Args:\n((?: +[^\n]*(?:\n|\Z))+)", arguments, text, flags=re.MULTILINE).strip()


def annotation(node):
    text = ast.unparse(node).replace("_Path", "str | PathLike[str]").replace("_Data", "Data")
    return text.replace("np.", "").replace("_Ids", "Ids")


def signature(name, function):
    """The call as one reads it, one parameter a line when it is long."""
    spec = function.args
    plain = [*spec.posonlyargs, *spec.args]
    defaults = [None] * (len(plain) - len(spec.defaults)) + spec.defaults
    words = []
    for argument, default in zip(plain + spec.kwonlyargs, defaults + spec.kw_defaults, strict=True):
        if argument in spec.kwonlyargs[:1]:
            words.append("*")
        if argument.arg not in ("self", "cls"):
            words.append(argument.arg + (f": {annotation(argument.annotation)}"
                                         if argument.annotation else "")
                         + (f" = {ast.unparse(default)}" if default is not None else ""))
    returns = ""
    if function.returns and function.name != "__init__":
        returns = f" -> {annotation(function.returns)}"
    line = f"{name}({', '.join(words)}){returns}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){returns}"


def calls(name, functions):
    """Every way to call it. Overloads differ in the first argument; the rest is said once."""
    several = [item for item in functions if "overload" in decorators(item)] or functions
    lines = [signature(name, several[0])]
    for function in several[1:]:
        first, returns = function.args.args[1], annotation(function.returns)
        lines.append(f"{name}({first.arg}: {annotation(first.annotation)}, ...) -> {returns}")
    return "```python\n" + "\n".join(lines) + "\n```"


def cell(text):
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def code(text):
    return f"`{cell(text)}`" if text else ""


def option_table(made, attributes):
    """Every option of TrainConfig, with what its attribute says and with its other names."""
    options, others = [], {}
    for argument, default in zip(made.args.kwonlyargs, made.args.kw_defaults, strict=True):
        _, text = attributes.pop(argument.arg)
        alias = re.match(r"Another name of (\w+)", text)
        if alias:
            others.setdefault(alias[1], []).append(f"`{argument.arg}`")
        else:
            options.append((argument, default, text))
    rows = ["| option | type | default | meaning | other names |", "| --- " * 5 + "|"]
    for argument, default, text in options:
        text = re.sub(r"; \S+ by default\.$", ".", " ".join(text.split()))
        given = "" if ast.unparse(default) == "''" else ast.unparse(default)
        rows.append(f"| {code(argument.arg)} | {code(annotation(argument.annotation))} "
                    f"| {code(given)} | {cell(text)} | {', '.join(others.get(argument.arg, []))} |")
    return "\n".join(rows)


def attribute_table(attributes):
    rows = ["| attribute | type | meaning |", "| --- | --- | --- |"]
    rows += [f"| {code(name)} | {code(kind)} | {cell(text)} |"
             for name, (kind, text) in attributes.items()]
    return "\n".join(rows)


def other_names():
    """What the package answers when somebody uses a name of transformers: {theirs: ours}."""
    tree = ast.parse((PACKAGE / "_others.py").read_text())
    lists = {node.targets[0].id: ast.literal_eval(node.value) for node in tree.body
             if isinstance(node, ast.Assign)}
    found = {f"`{call}`": ours for call, ours in lists["CALLS"].items()}
    found |= {f"`trainer.{name}`": ours for name, ours in lists["TRAINER"].items()}
    found |= {f"`model.{name}`": ours for name, ours in lists["MODEL"].items()}
    for event in dict.fromkeys(lists["EVENTS"].values()):
        theirs = ", ".join(f"`{name}`" for name, ours in lists["EVENTS"].items() if ours == event)
        found[f"{theirs} of a callback"] = f"`{event}` of any object"
    return found


def table_of_others():
    rows = ["| transformers | cllm |", "| --- | --- |"]
    return "\n".join(rows + [f"| {theirs} | {ours} |" for theirs, ours in other_names().items()])


def describe_class(name, nodes):
    attributes, methods = members(nodes)
    parts = [as_markdown(words(*nodes))]
    made = next((item for node in nodes for item in node.body
                 if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    bases = [ast.unparse(base) for node in nodes for base in node.bases]
    if "enum.Enum" in bases:
        choices = [item.targets[0].id for item in nodes[0].body if isinstance(item, ast.Assign)]
        parts.append("One of " + ", ".join(f"`{name}.{choice}`" for choice in choices) + ".")
    elif any(base.endswith(("Error", "Warning")) for base in bases):
        parts.append(f"It is a {' and a '.join(f'`{base}`' for base in bases)}.")
    elif name == "TrainConfig":
        parts += ["Every option is a keyword and an attribute:", option_table(made, attributes)]
    elif made:
        parts.append(calls(name, [made]))
        if not words(*nodes).count("Args:"):
            parts.append(as_markdown(words(made)))
    if attributes:
        parts.append(attribute_table(attributes))
    for method, functions in methods.items():
        shown = calls(f"{name}.{method}", functions)
        if (name, method) == ("TrainConfig", "replace"):
            shown = "```python\nTrainConfig.replace(**options) -> TrainConfig\n```"
        parts += [f"#### `{name}.{method}`", shown, as_markdown(words(*functions))]
    return parts


def describe(name, nodes):
    if isinstance(nodes[0], ast.ClassDef):
        parts = describe_class(name, nodes)
    else:
        parts = [calls(name, nodes), as_markdown(words(*nodes))]
    return [f"### `{name}`", *parts]


def page():
    """The whole page as text."""
    known = definitions()
    opening, names = package()
    listed = {name for section in SECTIONS.values() for name in section}
    sections = {title: [name for name in section if name in names]
                for title, section in SECTIONS.items()}
    sections["Other names"] = [name for name in names if name not in listed]
    sections = {title: section for title, section in sections.items() if section}
    modules = {f"Module {name}": package(files[0]) for name, files in MODULES.items()}
    contents = [textwrap.fill(f"- **{title}**: " + ", ".join(f"[{name}](#{name.lower()})"
                                                            for name in section),
                              PAGE_WIDTH, subsequent_indent="  ", break_long_words=False,
                              break_on_hyphens=False)
                for title, section in [*sections.items(), *(
                    (title, section) for title, (_, section) in modules.items())]]
    parts = [OPENING, as_markdown(opening), "\n".join(contents),
             "## From transformers", FROM_TRANSFORMERS, table_of_others()]
    for title, section in sections.items():
        parts.append(f"## {title}")
        for name in section:
            parts += describe(name, known[name])
    for (title, (text, names)), files in zip(modules.items(), MODULES.values(), strict=True):
        known = definitions([PACKAGE / file for file in files])
        parts += [f"## {title}", as_markdown(text)]
        for name in names:
            parts += describe(name, known[name])
    return "\n\n".join(part for part in parts if part) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail when the page is out of date")
    options = parser.parse_args()
    made = page()
    if not options.check:
        PAGE.write_text(made)
    elif not PAGE.exists() or PAGE.read_text() != made:
        sys.exit(f"api_page.py: {PAGE} is out of date: run .venv/bin/python tools/dev/api_page.py")


if __name__ == "__main__":
    main()
