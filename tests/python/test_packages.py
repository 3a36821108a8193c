"""What others install: the source archive, the wheel made from it, and what a build without a
compiler says.

The wheel takes a compilation of the bindings: tools/test.sh --all builds and installs it.
"""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile

import pytest
from conftest import ALL, ROOT, needs

LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
OLDEST_GLIBC = (2, 36)  # of Debian 12, where CLLM is built

SMOKE = """
import cllm
open("text.txt", "w").write("to be or not to be " * 200)
cllm.Trainer(cllm.TrainConfig(data="text.txt", out="run", steps=2, workers=1)).run()
model = cllm.Model.load("run")
assert len(model.generate("to be", tokens=5)) >= 5
print(cllm.__version__, cllm.__file__)
"""


def run(*command, **options):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=900, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}"
    return done.stdout


# -- the source archive -------------------------------------------------------------------------

@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The unpacked source archive, with what was in it by name."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT)
    with tarfile.open(next(folder.glob("cllm-*.tar.gz"))) as packed:
        members = packed.getmembers()
        packed.extractall(folder, filter="data")
    top = members[0].name.split("/")[0]
    return folder / top, {member.name.removeprefix(f"{top}/"): member for member in members}


sdist_tools = needs("build", "scikit_build_core")


@sdist_tools
def test_the_archive_is_the_checkout(archive):
    git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if git.returncode:
        pytest.skip("not a git checkout")
    wanted = {name for name in git.stdout.splitlines() if (ROOT / name).exists()}
    assert not wanted - set(archive[1])
    assert all(member.isfile() for member in archive[1].values()), "a link or a folder"
    assert not [name for name in archive[1] if name.startswith((".venv", "build/", "dist/"))]


def dangling(folder):
    """Links of Markdown pages below the folder that lead to no file in it."""
    return [f"{page.relative_to(folder)}: {link}" for page in folder.rglob("*.md")
            for link in LINK.findall(page.read_text())
            if not (page.parent / link).exists()
            or not (page.parent / link).resolve().is_relative_to(folder.resolve())]


@sdist_tools
def test_links_in_the_archive_lead_to_files_in_it(archive):
    assert not dangling(archive[0])


def test_a_dangling_link_is_noticed(tmp_path):
    (tmp_path / "page.md").write_text("[a](page.md#top) [b](gone.md) [c](https://c.invalid/x.md)")
    assert dangling(tmp_path) == ["page.md: gone.md"]


@sdist_tools
def test_the_scripts_of_the_archive_find_what_they_name(archive):
    """tools/test.sh runs the tests and calls other scripts: all of it travels with the script."""
    folder, _ = archive
    for script in ("tools/test.sh", "tools/build.sh", "tools/quickstart.sh", ".ci/run"):
        named = re.findall(r"(?:bash|python) ((?:tools|benchmarks)/[\w/]+\.(?:sh|py))",
                           (folder / script).read_text())
        assert not [name for name in named if not (folder / name).is_file()]
    assert "passed" in run(sys.executable, "-m", "pytest", "-q", "-k", "layer",
                           "tests/python/test_structure.py", cwd=folder)


def test_the_build_requirements_are_pinned_alike():
    """pyproject.toml names what pip builds with, tools/requirements*.txt what the scripts do."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    pinned = {line for file in (ROOT / "tools").glob("requirements*.txt")
              for line in file.read_text().splitlines()}
    assert set(wanted) <= pinned


# -- a build that lacks something ---------------------------------------------------------------

@pytest.fixture
def without_compiler(tmp_path):
    """An environment whose PATH holds CMake and Ninja and nothing else."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("cmake", "ninja"):
        found = shutil.which(name)
        if not found:
            pytest.skip(f"no {name}")
        (programs / name).symlink_to(found)
    return {name: value for name, value in os.environ.items() if name != "CXX"} | {
        "PATH": str(programs)}


ONLY_PATH = "CMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF"  # CMake would look into /usr/bin by itself


def only_line(said, words):
    found = [line for line in said.split("\n") if words in line]
    assert len(found) == 1, said
    return found[0]


@sdist_tools
def test_pip_says_in_one_line_that_the_compiler_is_missing(tmp_path, without_compiler):
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path,
         "-C", f"cmake.define.{ONLY_PATH}", ROOT], env=without_compiler,
        capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    line = only_line(done.stdout + done.stderr, "C++17 compiler")
    assert "none was found" in line and "apt-get install g++" in line


@pytest.mark.parametrize("settings, words, package", [
    ([f"-D{ONLY_PATH}"], "C++17 compiler", "g++"),
    (["-DCLLM_BUILD_PYTHON=ON", "-DPython_INCLUDE_DIR=/nowhere"], "headers of Python",
     "python3-dev")])
def test_cmake_says_in_one_line_what_is_missing(tmp_path, without_compiler, settings, words,
                                                package):
    environment = without_compiler if package == "g++" else os.environ
    done = subprocess.run(
        ["cmake", "-S", ROOT, "-B", tmp_path / "build", "-G", "Ninja", "-DCLLM_BUILD_TOOLS=OFF",
         "-DCLLM_BUILD_TESTS=OFF", f"-DCMAKE_PREFIX_PATH={sys.prefix}", *settings],
        env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert f"apt-get install {package}" in only_line(done.stderr, words)


# -- the wheel ----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    if not ALL:
        pytest.skip("wheel: tools/test.sh --all builds it")
    folder = tmp_path_factory.mktemp("dist")
    run("bash", ROOT / "tools/dev/wheel.sh", folder)
    assert len(list(folder.glob("cllm-*.tar.gz"))) == 1
    (made,) = folder.glob("cllm-*.whl")
    return made


def test_the_wheel_says_the_oldest_glibc_it_runs_on(wheel):
    tag = re.search(r"manylinux_(\d+)_(\d+)_x86_64", wheel.name)
    assert tag, wheel.name
    assert (int(tag[1]), int(tag[2])) <= OLDEST_GLIBC


def test_the_wheel_carries_author_and_licences(wheel):
    with zipfile.ZipFile(wheel) as packed:
        texts = {re.sub(r".*\.dist-info/", "", name): packed.read(name).decode()
                 for name in packed.namelist() if ".dist-info/" in name}
        odd = [name for name in packed.namelist()
               if not name.startswith("cllm/") and ".dist-info/" not in name]
    assert not odd
    metadata = email.message_from_string(texts["METADATA"])
    assert metadata["Author"] == "The CLLM authors"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert not any("example" in url for url in metadata.get_all("Project-URL", []))
    assert texts["licenses/LICENSE"] == (ROOT / "LICENSE").read_text()
    assert "Wenzel Jakob" in texts["licenses/third_party/pybind11.txt"]
    json = texts["licenses/third_party/json.txt"]
    assert "Niels Lohmann" in json and "Permission is hereby granted" in json


def test_the_wheel_works_in_a_bare_environment(wheel, tmp_path):
    venv.create(tmp_path / "bare", with_pip=True)
    programs = tmp_path / "bare/bin"
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(("PYTHON", "CLLM"))}
    run(programs / "python", "-m", "pip", "install", "--only-binary", ":all:", wheel, env=clean,
        cwd=tmp_path)
    said = run(programs / "python", "-c", SMOKE, env=clean, cwd=tmp_path)
    version, place = said.split("\n")[-2].split(" ", 1)
    assert version in wheel.name
    assert str(tmp_path / "bare") in place
    assert version in run(programs / "cllm", "--version", env=clean, cwd=tmp_path)
