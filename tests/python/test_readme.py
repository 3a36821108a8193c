"""README.md as a program: every block of code in it runs, in the order of the page, in one folder
that holds what a reader has: the built programs, two text files and the package.

A fence says what its block is: bash and python blocks run, text blocks only show. A command that is
mentioned in a sentence stands in a block too. Blocks go on from those before them, as on the page.
Environment: CLLM_STEPS, the steps of tools/quickstart.sh (default here: 20);
CLLM_REQUIRE_PARITY=1, under which missing torch is a failure.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import BUILD, ROOT

SECONDS = 300  # of patience with one block; a hang is a failure
RUNS = {"bash", "python"}
SHOWS = {"text"}
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
# A span that is more than the name of a program.
COMMAND = re.compile(r"(?:[A-Z_]+=\S* )?"
                     r"(?:bash|sh|sudo|pip|python\d?|git|cat|cllm|source|\S*/bin/\w+) \S")


class Block(NamedTuple):
    line: int
    language: str
    code: str


def read_blocks(text):
    return [Block(text.count("\n", 0, match.start()) + 1, match[1], match[2])
            for match in FENCE.finditer(text)]


def lonely_commands(text):
    """Commands in sentences and tables that no block holds, so that nothing would run them."""
    blocks = "\n".join(block.code for block in read_blocks(text) if block.language in RUNS)
    return [span for span in INLINE.findall(FENCE.sub("", text))
            if COMMAND.match(span) and span not in blocks]


README = (ROOT / "README.md").read_text()
BLOCKS = read_blocks(README)


# -- commands that this file cannot run itself, and what says that they work ---------------------

def tier_runs_this():
    """tools/test.sh runs pytest on the folder that this file is in."""
    script = (ROOT / "tools/test.sh").read_text()
    assert re.search(r"-m pytest .*\btests/python$", script, re.MULTILINE)


def pip_installed_this():
    """tools/build.sh --python gave pip this checkout; the python blocks import what came of it."""
    assert "-m pip install" in (ROOT / "tools/build.sh").read_text()
    package = Path(importlib.import_module("cllm").__file__).resolve()
    if not package.is_relative_to(sys.prefix):
        pytest.skip("cllm is imported from a build folder")
    origin = importlib.metadata.distribution("cllm").read_text("direct_url.json")
    assert origin, "cllm was not installed by pip from a folder: run tools/build.sh --python"
    assert json.loads(origin)["url"] == ROOT.as_uri()


def examples_run_with_this():
    """The example says that these are missing, and its test runs with them where they are."""
    example = (ROOT / "python/examples/metrics_plot.py").read_text()
    assert "pip install pandas matplotlib" in example
    tests = (ROOT / "tests/python/test_examples.py").read_text()
    assert '("pandas", "matplotlib")' in tests


def a_real_model_runs_this():
    """Its test reads the lines from the page. The model is fetched, 93 MB, and steps of it are
    slow."""
    tests = (ROOT / "tests/python/test_finetune.py").read_text()
    assert "def test_smollm2_learns_by_the_lines_of_readme(smollm2)" in tests


COVERED = {"bash tools/test.sh": tier_runs_this, "pip install .": pip_installed_this,
           "pip install pandas matplotlib": examples_run_with_this,
           "cllm data smollm2": a_real_model_runs_this}
COVERED |= {line: a_real_model_runs_this for line in README.split("\n") if re.match(
    r"cllm (finetune smollm2|prepare .* --model smollm2|chat tuned|merge tuned)", line)}


# -- running ------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A reader's folder: the programs where README says they are, and two books."""
    folder = tmp_path_factory.mktemp("readme")
    assert (BUILD / "bin/train_model").is_file(), f"{BUILD} holds no programs: run tools/build.sh"
    (folder / "build").mkdir()
    (folder / "build/release").symlink_to(BUILD)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "python").symlink_to(ROOT / "python")
    (folder / "ADDRESS").symlink_to(ROOT)  # what the page clones
    (folder / "book1.txt").write_text(README * 4)
    (folder / "book2.txt").write_text((ROOT / "cpp/README.md").read_text() * 4)
    return folder


def need(module, reason):
    if importlib.util.find_spec(module):
        return
    if os.environ.get("CLLM_REQUIRE_PARITY") == "1":
        pytest.fail(f"{module} is missing and CLLM_REQUIRE_PARITY=1: run tools/build.sh --parity")
    pytest.skip(reason)


def environment(place):
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"CLLM_STEPS": "20", "MPLBACKEND": "Agg", **os.environ, "PATH": programs,
            "CLLM_QUICKSTART": str(place / "quickstart"), "CLLM_VENV": sys.prefix,
            "XDG_CACHE_HOME": str(place / "cache")}


def run_block(block, place):
    """What the block printed; it must succeed. Scripts of the checkout run in the checkout."""
    if block.language == "python":
        command = [sys.executable, "-"]
    else:
        command = ["bash", "-euo", "pipefail", "-s"]
    folder = ROOT if "bash tools/" in block.code else place
    done = subprocess.run(command, input=block.code, cwd=folder, env=environment(place),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
                          text=True, errors="replace")  # young models write odd bytes
    assert done.returncode == 0, f"README.md, line {block.line}:\n{block.code}\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in RUNS],
                         ids=lambda block: f"line {block.line}")
def test_block_runs(block, place):
    commands = block.code.strip().split("\n")
    for command in commands:
        if command in COVERED:
            COVERED[command]()
    if all(command in COVERED for command in commands):
        return
    assert not any(command in COVERED for command in commands), "put it into a block of its own"
    if "git clone" in block.code and not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    for module in ("torch", "transformers"):
        if re.search(rf"\b(?:import|from) {module}\b", block.code):
            need(module, "torch")
    if "metrics_plot.py" in block.code:
        for module in ("pandas", "matplotlib"):
            need(module, module)
    run_block(block, place)


# -- the page -----------------------------------------------------------------------------------

def test_every_fence_says_what_its_block_is():
    assert len(BLOCKS) * 2 == len(re.findall(r"^```", README, re.MULTILINE))
    odd = [block for block in BLOCKS if block.language not in RUNS | SHOWS]
    assert not odd, "wanted bash, python or text"
    hidden = [block for block in BLOCKS if block.language in SHOWS and COMMAND.search(block.code)]
    assert not hidden, "a text block holds a command"


def test_every_command_in_a_sentence_stands_in_a_block():
    assert not lonely_commands(README)


def test_a_lonely_command_is_noticed():
    text = "Run `pip install x` or `ls`.\n```bash\npip install y\n```\n"
    assert lonely_commands(text) == ["pip install x"]
    assert lonely_commands(text.replace("install x", "install y")) == []


def test_a_failing_block_is_noticed(tmp_path):
    for block in (Block(1, "bash", "false\ntrue\n"), Block(1, "python", "assert 0\n")):
        with pytest.raises(AssertionError, match=r"README\.md, line 1:"):
            run_block(block, tmp_path)


def test_links_lead_to_files():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links and all((ROOT / link).exists() for link in links)


def test_options_in_the_text_exist():
    """An option that README names is one of a program, of a script, or stands in the package."""
    known = ""
    for program in ("train_model", "run_model"):
        known += subprocess.run([BUILD / "bin" / program, "--help"], capture_output=True, text=True,
                                check=True).stdout
    for command in ("prepare", "eval", "finetune", "chat", "merge"):
        known += subprocess.run([sys.executable, "-m", "cllm", command, "--help"], check=True,
                                env={**os.environ, "COLUMNS": "120"}, capture_output=True,
                                text=True).stdout
    known += "".join(script.read_text() for script in (ROOT / "tools").glob("*.sh"))
    known += "".join(file.read_text() for file in (ROOT / "python").rglob("*.py"))
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README))
    assert options
    assert not {name for name in options if not re.search(rf"{name}\b", known)}


# -- figures ------------------------------------------------------------------------------------

FIGURE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?) (ms|s|MiB)\b")
RESULTS = (ROOT / "benchmarks/results.md").read_text()


def figures_without_source(text, results):
    """Times and sizes in tables that benchmarks/results.md does not have, as rounded there."""
    measured = {float(number) for number in re.findall(r"(?<![\d.])\d+(?:\.\d+)?", results)}
    lost = []
    for row in re.findall(r"^\|.*\|$", text, re.MULTILINE):
        for number, unit in FIGURE.findall(row):
            scale, digits = (1000 if unit == "s" else 1), len(number.partition(".")[2])
            half = 0.5001 * 10 ** -digits
            if not any(abs(value / scale - float(number)) <= half for value in measured):
                lost.append(f"{number} {unit}")
    return lost


def test_figures_in_tables_are_those_of_the_results():
    assert len(FIGURE.findall(README)) > 10
    assert not figures_without_source(README, RESULTS)


def test_a_figure_that_was_never_measured_is_noticed():
    row = "| A | 21.2 ms, 58 MiB | 0.99 s |\n"
    assert figures_without_source(row, "| 21.2 | 58 | 1004 |") == ["0.99 s"]
    assert not figures_without_source(row, "| 21.2 | 58 | 987 |")
