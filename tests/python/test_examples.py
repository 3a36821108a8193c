"""The programs of python/examples, each run as its opening says."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, needs

pytestmark = needs("cllm", "numpy")

EXAMPLES = ROOT / "python/examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


@pytest.fixture(scope="module")
def place(tmp_path_factory, text_file):
    """A reader's folder, with a text."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copy(text_file, folder / "my_text.txt")
    return folder


def start(script, argument, place):
    return subprocess.run([sys.executable, EXAMPLES / script, argument], cwd=place, text=True,
                          capture_output=True, timeout=300, check=False, errors="replace",
                          env={**os.environ, "MPLBACKEND": "Agg"})


def run(script, argument, place):
    done = start(script, argument, place)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_own_loop(place):
    said = run("own_loop.py", "my_text.txt", place)
    losses = [float(loss) for loss in re.findall(r"loss (\d+\.\d+)", said)]
    assert len(losses) == 5 and losses[-1] < losses[0]
    assert (place / "own-loop/model.safetensors").is_file()


def test_early_stopping_ends_before_the_last_step_and_runs_again(place):
    for _ in range(2):
        said = run("early_stopping.py", "my_text.txt", place)
        done, total = map(int, re.search(r"^(\d+) of (\d+) steps,", said, re.MULTILINE).groups())
        assert 0 < done < total


@pytest.mark.skipif(not all(importlib.util.find_spec(name) for name in ("pandas", "matplotlib")),
                    reason="pandas, matplotlib")
def test_metrics_plot(place):
    run("early_stopping.py", "my_text.txt", place)
    assert "loss.png" in run("metrics_plot.py", "early-stopping", place)
    assert (place / "early-stopping/loss.png").read_bytes().startswith(b"\x89PNG")
    lines = (place / "early-stopping/metrics.jsonl").read_text().splitlines()
    (place / "unevaluated").mkdir()
    (place / "unevaluated/metrics.jsonl").write_text(
        "\n".join(line for line in lines if "val_loss" not in line) + "\n")
    assert "loss.png" in run("metrics_plot.py", "unevaluated", place)


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch")
def test_beside_torch(place):
    assert "by PyTorch" in run("beside_torch.py", "my_text.txt", place)


@pytest.mark.parametrize("script, missing", [("metrics_plot.py", "matplotlib"),
                                             ("beside_torch.py", "torch")])
def test_what_is_missing_is_said_in_one_line(script, missing, place, monkeypatch):
    (place / "without").mkdir(exist_ok=True)
    (place / f"without/{missing}.py").write_text(
        f"raise ModuleNotFoundError('gone', name='{missing}')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(
        [str(place / "without"), os.environ.get("PYTHONPATH", "")]))
    done = start(script, "my_text.txt", place)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{missing} is missing: pip install" in done.stderr


@needs("nbclient", "ipykernel")
def test_notebook(place):
    import nbclient
    import nbformat
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3",
                            resources={"metadata": {"path": str(place)}}).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells if cell.cell_type == "code"
                      for output in cell.outputs)
    assert "7 times" in printed


# -- the folder ---------------------------------------------------------------------------------

def test_every_example_says_what_it_is_and_is_tested():
    tests = ast.parse((ROOT / "tests/python/test_examples.py").read_text())
    named = {node.value for node in ast.walk(tests) if isinstance(node, ast.Constant)}
    for script in SCRIPTS:
        assert ast.get_docstring(ast.parse(script.read_text())), script
        assert script.name in named
    assert len(SCRIPTS) >= 4


def test_the_notebook_holds_no_results():
    cells = json.loads((EXAMPLES / "notebook.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
