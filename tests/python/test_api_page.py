"""python/README.md: the page is what the docstrings say, and every public name has one."""

import ast
import importlib
import importlib.util
import inspect
import re
import sys

import pytest
from conftest import ROOT

SILENT_ABOUT = {"TrainConfig.replace"}  # its signature says it


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location("api_page", ROOT / "tools/dev/api_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(made):
    assert made.PAGE.read_text() == made.page(), "run .venv/bin/python tools/dev/api_page.py"


def test_a_changed_docstring_is_noticed(made, tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text(made.page().replace("Trainer", "Coach"))
    monkeypatch.setattr(made, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["api_page.py", "--check"])
    with pytest.raises(SystemExit, match="out of date"):
        made.main()
    monkeypatch.setattr(sys, "argv", ["api_page.py"])
    made.main()
    assert page.read_text() == made.page()


def test_every_public_name_stands_on_the_page(made):
    headings = set(re.findall(r"^### `(\w+)`$", made.page(), re.MULTILINE))
    names = {name for module in ("cllm", *made.MODULES)
             for name in importlib.import_module(module).__all__ if not name.startswith("_")}
    assert headings == names


def test_what_the_page_names_for_transformers_is_there(made):
    """Every piece of code in the right column: its names, and the arguments of its calls."""
    import cllm
    rows = made.other_names()
    assert len(rows) > 20 and all(row in made.page() for row in rows)
    pieces = [piece for ours in rows.values() for piece in re.findall(r"`([^`]+)`", ours)]
    checked = 0
    for piece in pieces:
        for node in ast.walk(ast.parse(piece)):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                owners = [cllm, cllm.Model, cllm.Trainer]
                called = next((getattr(o, name) for o in owners if hasattr(o, name)), None)
                assert called is not None, piece
                known = {alias for option in cllm.options() for alias in option.aliases}
                if node.keywords:
                    known |= set(inspect.signature(called).parameters)
                assert {keyword.arg for keyword in node.keywords} <= known, piece
                checked += 1
    assert checked > 15
    events = set(cllm._callbacks.EVENTS)
    assert set(cllm._others.EVENTS.values()) <= events


def undescribed(page):
    """Headings with nothing but a signature under them, rows with an empty last cell."""
    parts = re.split(r"^#{3,4} `([\w.]+)`$", page, flags=re.MULTILINE)[1:]
    code = re.compile(r"```.*?```|^#[^\n]*$|\|[^\n]*$", re.DOTALL | re.MULTILINE)
    bare = [name for name, text in zip(parts[::2], parts[1::2], strict=True)
            if not code.sub("", text).strip()]
    return bare + re.findall(r"^\| `(\w+)` \| [^|]*\| +\|$", page, re.MULTILINE)


def test_everything_public_is_described(made):
    assert not set(undescribed(made.page())) - SILENT_ABOUT


def test_a_silent_method_is_noticed():
    page = ("### `A`\n\nWords.\n\n| `b` | `int` |  |\n\n#### `A.c`\n\n```python\nA.c()\n```\n\n"
            "#### `A.d`\n\n```python\nA.d()\n```\n\nWords.\n")
    assert undescribed(page) == ["A.c", "b"]


def test_links_on_the_page_lead_somewhere(made):
    page = made.page()
    anchors = {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))
               for title in re.findall(r"^#+ (.*)$", page, re.MULTILINE)}
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 20
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors
        else:
            assert (made.PAGE.parent / link).exists(), link
