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

# What the stub cannot say: pybind11's metaclass, and constructors that always raise TypeError.
ALLOWED = r"""
cllm\._cllm\.[A-Z]\w+
cllm\._cllm\.(EvaluationReport|GroupReport|KernelTime|Machine\w*|Model|Option|Sphere\w+)\.__init__
cllm\._cllm\.(StepForecast|StepPlan|StepReport|StepTimes|TreePlan)\.__init__
cllm\._cllm\.RunOutcome\.__pybind11_native_enum__
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


def stubbed(name):
    """The class's node in the stub."""
    tree = ast.parse(STUB.read_text())
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


@needs("cllm", "numpy")
def test_stub_of_the_configuration_is_the_option_table():
    """stubtest does not see behind **kwargs and descriptors."""
    cllm = importlib.import_module("cllm")
    kinds = {"text": "str", "integer": "int", "real": "float", "flag": "bool"}
    wanted = {}
    for option in cllm.options():
        auto = " | Literal['auto']" if option.may_be_auto else ""
        wanted[option.key] = kinds[option.type] + auto
        for alias in option.aliases:
            wanted[alias] = "bool" if alias in option.alias_values else wanted[option.key]
    functions = [node for node in stubbed("TrainConfig").body if isinstance(node, ast.FunctionDef)]
    getters = {f.name: ast.unparse(f.returns) for f in functions
               if any(ast.unparse(d) == "property" for d in f.decorator_list)}
    assert getters == wanted

    def accepted(argument, key):
        is_path = ast.unparse(argument.annotation) == "_Path"
        return wanted[key] if is_path and wanted[key] == "str" else ast.unparse(argument.annotation)

    for function in functions:
        if function.name in ("__init__", "replace"):
            found = {a.arg: accepted(a, a.arg) for a in function.args.kwonlyargs}
            assert found == wanted, function.name
        elif any(ast.unparse(d).endswith(".setter") for d in function.decorator_list):
            assert accepted(function.args.args[1], function.name) == wanted[function.name]


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
