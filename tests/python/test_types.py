"""Types and style of the Python sources: mypy in strict mode, stubs like the module, ruff."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

from conftest import needs

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "python/cllm/_cllm.pyi"

# What the stub cannot say: pybind11's metaclass, constructors that always raise TypeError, and what
# inspect.signature shows, which it says in __init__.
ALLOWED = r"""
cllm\._cllm\.[A-Z]\w+
cllm\._cllm\.(EvaluationReport|GroupReport|KernelTime|RingReport|Machine\w*|Model|Option|Sphere\w+)\.__init__
cllm\._cllm\.(StepForecast|StepPlan|StepReport|StepTimes|TokenFileInfo|TreePlan)\.__init__
cllm\._cllm\.RunOutcome\.__pybind11_native_enum__
cllm\._cllm\.TrainerConfig\.__init__
cllm\._cllm\.(ModelConfig|TrainConfig)\.__signature__
cllm\._(model\.Model|trainer\.Trainer)
cllm\._torch_step
"""


def run(*words, **environment):
    return subprocess.run([sys.executable, "-m", *map(str, words)], cwd=ROOT, text=True,
                          capture_output=True, env=os.environ | environment, check=False)


@needs("mypy", "numpy", "typer", "rich", "tokenizers")
def test_sources_and_a_users_program_are_typed(tmp_path):
    result = run("mypy", "--strict", "--cache-dir", tmp_path, "python/cllm",
                 "tests/python/typed_sample.py", MYPYPATH=str(ROOT / "python"))
    assert result.returncode == 0, result.stdout + result.stderr


@needs("mypy", "cllm", "numpy", "typer", "rich", "tokenizers")
def test_stubs_agree_with_the_module(tmp_path):
    (tmp_path / "allowed").write_text(ALLOWED)
    cllm = importlib.import_module("cllm")
    folder = Path(cllm.__file__).parents[1]
    # mypy finds installed packages by itself, and wants to.
    path = {} if folder.name == "site-packages" else {"MYPYPATH": str(folder),
                                                      "PYTHONPATH": str(folder)}
    result = run("mypy.stubtest", "cllm", "--mypy-config-file", "pyproject.toml",
                 "--allowlist", tmp_path / "allowed", "--ignore-unused-allowlist", **path)
    assert result.returncode == 0, result.stdout + result.stderr


@needs("cllm", "numpy", "pybind11_stubgen", "ruff")
def test_the_stub_is_what_its_script_writes():
    cllm = importlib.import_module("cllm")
    result = run("stubs", "--check", PYTHONPATH=os.pathsep.join(
        [str(Path(cllm.__file__).parents[1]), str(ROOT / "tools/dev")]))
    assert result.returncode == 0, result.stdout + result.stderr


@needs("cllm", "numpy")
def test_editors_show_what_options_mean():
    cllm = importlib.import_module("cllm")
    tree = ast.parse(STUB.read_text())
    config = next(node for node in tree.body
                  if isinstance(node, ast.ClassDef) and node.name == "TrainConfig")
    functions = [node for node in config.body if isinstance(node, ast.FunctionDef)]
    init = next(f for f in functions if f.name == "__init__")
    documents = {f.name: ast.get_docstring(f) for f in functions
                 if any(ast.unparse(d) == "property" for d in f.decorator_list)}
    keywords = [argument.arg for argument in init.args.kwonlyargs]
    for option in cllm.options():
        first = option.help.split()[0].lower()
        assert documents[option.key].lower().startswith(first)
        assert option.key in keywords and f"{option.key}: " in ast.get_docstring(init)


@needs("cllm", "numpy")
def test_everything_public_is_documented():
    cllm = importlib.import_module("cllm")
    for name in cllm.__all__:
        thing = getattr(cllm, name)
        if name == "__version__":
            continue
        assert thing.__doc__, name
        if isinstance(thing, type):
            assert thing.__module__ == "cllm"
    for name in ("run", "step", "gradients", "parameters", "spheres", "resize", "save"):
        assert getattr(cllm.Trainer, name).__doc__.count("\n") >= 1, name
    assert "float32[B, T, V']" in cllm.Model.logits.__doc__


@needs("ruff")
def test_style():
    result = run("ruff", "check", ".")
    assert result.returncode == 0, result.stdout
