#!/usr/bin/env python3
"""Checks formatting and runs clang-tidy over our C++ sources, changed files first.

Usage: lint.py [--build FOLDER] [--jobs N] [--budget SECONDS] [--fix-format]

A file whose preprocessed text and checks passed before is not analysed again (build/lint holds the
digests). Files changed against --base are always analysed; the rest as long as the budget lasts,
and what was left out is said. Needs FOLDER/compile_commands.json, clang-format and clang-tidy.
"""

import argparse
import hashlib
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("cpp", "tools", "tests", "bindings", "benchmarks")
# Test macros expand to code of a different style; tests are formatted, not analysed.
ANALYSED = ("cpp/", "tools/", "bindings/", "benchmarks/")


def program(name):
    """The pinned program of .venv; another version would format differently."""
    local = ROOT / ".venv" / "bin" / name
    found = str(local) if local.exists() else shutil.which(name)
    if not found:
        sys.exit(f"lint.py: {name} is missing: run tools/build.sh --tests")
    return found


def git_lines(*arguments):
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return result.stdout.splitlines() if result.returncode == 0 else []


def our_files():
    known = git_lines("ls-files", "-co", "--exclude-standard", "--", *FOLDERS)
    return sorted(f for f in known if f.endswith((".h", ".cc")) and (ROOT / f).exists())


def check_format(files, fix):
    command = [program("clang-format"), "-i"] if fix else [
        program("clang-format"), "--dry-run", "-Werror"]
    return subprocess.run([*command, *files], cwd=ROOT).returncode == 0


def compile_commands(build):
    database = ROOT / build / "compile_commands.json"
    if not database.exists():
        sys.exit(f"lint.py: {database} is missing: run tools/build.sh --tests")
    for entry in json.loads(database.read_text()):
        file = pathlib.Path(entry["file"])
        if file.is_relative_to(ROOT):
            name = str(file.relative_to(ROOT))
            if name.startswith(ANALYSED):
                yield name, entry


def digest(entry, checks):
    """Of everything that decides what clang-tidy says: the preprocessed text and the checks."""
    words = shlex.split(entry["command"])
    if pathlib.Path(words[0]).name == "ccache":
        words = words[1:]
    at = words.index("-o")
    del words[at:at + 2]
    result = subprocess.run([*words, "-E"], cwd=entry["directory"], capture_output=True)
    return hashlib.sha256(checks + result.stdout).hexdigest() if result.returncode == 0 else None


def analyse(name, entry, build, checks, cache, deadline):
    """Returns "ok", "left out" or clang-tidy's findings."""
    key = digest(entry, checks)
    if key and (cache / key).exists():
        return "ok"
    if deadline and time.monotonic() > deadline:
        return "left out"
    result = subprocess.run([program("clang-tidy"), "-p", build, "--quiet", name], cwd=ROOT,
                            capture_output=True, text=True)
    if result.returncode:
        return result.stdout + result.stderr
    if key:
        (cache / key).touch()
    return "ok"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--base", default="origin/main", help="revision that changes are against")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--budget", type=float, default=600, help="seconds for unchanged files")
    parser.add_argument("--fix-format", action="store_true", help="format the files and stop")
    options = parser.parse_args()

    files = our_files()
    formatted = check_format(files, options.fix_format)
    if options.fix_format:
        return 0 if formatted else 1

    cache = ROOT / "build" / "lint"
    cache.mkdir(parents=True, exist_ok=True)
    checks = b"".join((ROOT / name).read_bytes()
                      for name in (".clang-tidy", "tools/requirements-dev.txt"))
    changed = set(git_lines("diff", "--name-only", f"{options.base}...HEAD"))
    changed |= set(git_lines("diff", "--name-only", "HEAD"))
    work = sorted(compile_commands(options.build), key=lambda item: item[0] not in changed)
    deadline = time.monotonic() + options.budget
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(
            lambda item: analyse(*item, options.build, checks, cache,
                                 None if item[0] in changed else deadline), work))

    bad = [(item[0], said) for item, said in zip(work, results, strict=True)
           if said not in ("ok", "left out")]
    for name, said in bad:
        print(f"-- {name}\n{said}")
    left_out = results.count("left out")
    print(f"lint: {len(files)} files {'formatted' if formatted else 'NOT all formatted'}, "
          f"{len(work) - left_out} of {len(work)} analysed, {len(bad)} with findings")
    if left_out:
        print(f"lint: {left_out} unchanged files were left out, the time budget "
              f"({options.budget:.0f} s) was spent")
    return 0 if formatted and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
