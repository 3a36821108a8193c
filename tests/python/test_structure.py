"""The house rules that a compiler does not check: who may include whom, sizes, openings, marks.

Each rule is a function from a path and its text to a list of complaints. The tests apply it to the
tree, and to a planted violation, so that a rule which sees nothing fails as well.
"""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import ALL

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
# A comment, or a literal that may look like one.
COMMENT_OR_LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
UNFINISHED = re.compile("|".join([r"\bTO" + "DO", r"\bFIX" + "ME", r"\bXX" + "X\\b",
                                  "(?i:place" + "holder)", "(?i:not (?:yet )?implemented)"]))
LOCKS = re.compile(r"\b(?:mutex|shared_mutex|condition_variable\w*|lock_guard|unique_lock|"
                   r"scoped_lock|sleep_for|sleep_until|usleep|nanosleep|sched_yield|yield)\b")
# A call that reaches files, spelled as a call: after an operator, a bracket or `return`.
FILE_CALL = re.compile(
    r"(?:^|[=(,!&|?;{}<+-]|(?<!-)>|\breturn|\belse)\s*(?:::)?(?:open|openat|creat|read|pread|write|pwrite|"
    r"fsync|fdatasync|f?truncate|rename|renameat2?|mkdir|mkdtemp|rmdir|unlink|unlinkat|symlink|"
    r"readlink|flock|opendir|readdir|f?stat|lstat)\s*\(|"
    r"std::(?:rename|remove|fopen|[io]?fstream)\b|\b(?:fs|filesystem)::(?:create_\w+|remove\w*|"
    r"rename|copy\w*|resize_file|read_symlink|is_empty|(?:recursive_)?directory_iterator)\b",
    re.MULTILINE)
THIRD_PARTY = ("nlohmann/", "CLI/")
TOP_LEVEL = {"CHANGELOG.md", "CMakeLists.txt", "CMakePresets.json", "CONTRIBUTING.md", "LICENSE",
             "README.md", "pyproject.toml", "benchmarks", "bindings", "cpp", "python", "tests",
             "tools"}


def read_layers():
    """Each layer with those that it declares to depend on."""
    text = (ROOT / "cpp/CMakeLists.txt").read_text()
    found = re.findall(r"^cllm_layer\((\w+)(?:\s+DEPENDS\s+([^)]*))?\)", text, re.MULTILINE)
    return {name: needed.split() for name, needed in found}


LAYERS = read_layers()


def sources(*folders):
    """Our C++ files below the folders, as paths relative to the root."""
    return sorted(file.relative_to(ROOT).as_posix() for folder in folders
                  for file in (ROOT / folder).rglob("*") if file.suffix in (".h", ".cc"))


# The layer that implements a public header.
HOMES = {f"cllm/{Path(file).stem}.h": Path(file).parts[2] for file in sources("cpp/src")}


def includes(text):
    return [(kind, name) for kind, name in INCLUDE.findall(text)]


def code_only(text):
    """The text without comments and literals; lines stay where they are."""
    return COMMENT_OR_LITERAL.sub(lambda match: "\n" * match.group().count("\n"), text)


def complaints(rule, files):
    return [f"{file}: {said}" for file in files for said in rule(file, (ROOT / file).read_text())]


# -- rules --------------------------------------------------------------------------------------

def include_direction(path, text):
    """cpp/src/LAYER includes "cllm/x.h" and "layer/x.h" of its own and of declared layers."""
    layer = Path(path).parts[2]
    if layer not in LAYERS:
        return [f"the folder {layer} is no layer of cpp/CMakeLists.txt"]
    found = []
    for kind, name in includes(text):
        top = name.split("/")[0]
        if kind == "<":
            if top in LAYERS or top == "cllm":
                found.append(f"<{name}> is ours and wants quotes")
        elif top == "cllm" or (top in LAYERS and "/" in name):
            home = HOMES.get(name, top)
            if home not in ("cllm", layer, *LAYERS[layer]):
                found.append(f"layer {layer} includes {name} and does not declare {home}")
            if not any((ROOT / "cpp" / base / name).exists() for base in ("src", "include")):
                found.append(f"{name} does not exist")
        elif not (layer == "gemm" and name.startswith("oneapi/dnnl/")):
            found.append(f'"{name}" is not "layer/file.h" or "cllm/file.h"')
    return found


def public_header(path, text):
    """Public headers include the standard library and each other."""
    return [f"includes {name}" for kind, name in includes(text)
            if not (kind == "<" and re.fullmatch(r"[a-z_]+", name))
            and not (kind == '"' and re.fullmatch(r"cllm/\w+\.h", name))]


def outside_the_house(path, text):
    """tools/ and bindings/ see public headers, and headers of their own."""
    own = (ROOT / path).parent
    return [f"includes {name}" for kind, name in includes(text)
            if name.split("/")[0] in LAYERS
            or (kind == '"' and not name.startswith("cllm/")
                and not (own / name).exists() and not (own.parent / name).exists())]


def third_party_in_header(path, text):
    return [f"a header includes {name}" for _, name in includes(text)
            if name.startswith(THIRD_PARTY)]


def length(path, text):
    limit = 200 if path.endswith(".h") else 350 if path.startswith("cpp/src/") else 400
    lines = text.count("\n")
    return [f"{lines} lines, at most {limit} wanted"] if lines > limit else []


def opening(path, text):
    """A file opens with a comment; a source may open with its own header, which says it."""
    first = text.split("\n", 1)[0]
    header = Path(path).with_suffix(".h")
    own = [f'#include "{name}"' for name in
           ("/".join(header.parts[2:]), f"cllm/{header.name}", header.name)]
    if re.match(r"// \S+ \S+", first) or (path.endswith(".cc") and first in own):
        return []
    return [f"opens with {first!r}, wanted a comment sentence or its own header"]


def pragma_once(path, text):
    return [] if re.search(r"^#pragma once$", text, re.MULTILINE) else ["no #pragma once"]


def unfinished(path, text):
    return [f"line {number}: {line.strip()}" for number, line in enumerate(text.split("\n"), 1)
            if UNFINISHED.search(line)]


def locks(path, text):
    """Only the file that knows the kernel may give way; nothing may lock or sleep for a time."""
    lines = [(number, line.replace("sched_yield", "") if path == "cpp/src/sync/futex.cc" else line)
             for number, line in enumerate(code_only(text).split("\n"), 1)]
    return [f"line {number}: {line.strip()}" for number, line in lines if LOCKS.search(line)]


def direct_file_calls(path, text):
    """Layers that hold a user's work reach files through base/file_calls.h, so that tests can."""
    code = code_only(text)
    # Without the header that declares them, these are functions of ours.
    own = () if "<unistd.h>" in text else ("read", "write")
    found = [(code.count("\n", 0, match.start() + 1) + 1, match.group().split()[-1])
             for match in FILE_CALL.finditer(code)]
    return [f"line {number}: {call}" for number, call in found
            if call.lstrip("=(,!&|?;{}<>+-").rstrip("( ") not in own]


def oracle_independence(path, text):
    """The reference training loop shares the batch plan with the engine and nothing else."""
    return [f"includes {name}" for _, name in includes(text)
            if name.split("/")[0] in ("spheres", "reduce", "plan") and name != "plan/batch_plan.h"]


def option_words(path, text):
    """Messages name an option by option_word(), because Python's users write eval_every."""
    literals = [m.group() for m in COMMENT_OR_LITERAL.finditer(text) if m.group().startswith('"')]
    return [f"{literal}: wants option_word()" for literal in literals
            if re.search(r"--[a-z]", re.sub(r"see --help|`?cllm bench [-a-z]+", "", literal))]


# -- the tree -----------------------------------------------------------------------------------

ENGINE = ("cpp/src/sync", "cpp/src/spheres", "cpp/src/reduce", "cpp/src/optim", "cpp/src/engine")
OUTSIDE = ("tools", "bindings")
# The table itself, and what writes to a terminal or a pipe.
NO_FILES = ("cpp/src/base/file_calls.cc", "cpp/src/base/process.cc",
            "cpp/src/telemetry/patient_writer.cc", "cpp/src/train/stop_signals.cc")
FILES = [f for f in sources("cpp/src/base", "cpp/src/telemetry", "cpp/src/data",
                            "cpp/src/checkpoint", "cpp/src/config", "cpp/src/inference",
                            "cpp/src/setup", "cpp/src/train")
         if f not in NO_FILES]
RULES = [
    # rule, the files it is for, a path and a text that break it
    (include_direction, sources("cpp/src"), "cpp/src/base/x.h",
     '#include "train/run_loop.h"\n'),
    (public_header, sources("cpp/include"), "cpp/include/cllm/x.h", '#include "base/span.h"\n'),
    (outside_the_house, sources(*OUTSIDE), "tools/x.cc", '#include "base/span.h"\n'),
    (third_party_in_header, [f for f in sources("cpp") if f.endswith(".h")],
     "cpp/src/data/x.h", "#include <nlohmann/json.hpp>\n"),
    (length, sources("cpp", *OUTSIDE, "benchmarks", "tests"), "cpp/src/base/x.h", "//\n" * 201),
    (opening, sources("cpp", *OUTSIDE, "benchmarks", "tests"), "cpp/src/base/x.cc",
     "#include <vector>\n"),
    (pragma_once, [f for f in sources("cpp", *OUTSIDE, "tests") if f.endswith(".h")],
     "cpp/src/base/x.h", "// A header without a guard.\n"),
    (unfinished, sources("cpp", *OUTSIDE, "benchmarks", "tests"), "cpp/src/base/x.cc",
     "int f();  // " + "TO" + "DO: later\n"),
    (locks, sources(*ENGINE), "cpp/src/sync/x.h", "std::mutex m;  // guards x\n"),
    (direct_file_calls, FILES, "cpp/src/checkpoint/x.cc", "const int fd = ::open(p, 0);\n"),
    (option_words, sources("cpp/src"), "cpp/src/data/x.cc", 'auto s = "give --vocab N";\n'),
    (oracle_independence, [f for f in sources("tests") if "oracle" in Path(f).name],
     "tests/cpp/oracle.h", '#include "reduce/ordered_sum.h"\n'),
]


@pytest.mark.parametrize("rule, files, path, text", RULES, ids=[r[0].__name__ for r in RULES])
def test_tree_keeps_the_rule(rule, files, path, text):
    found = complaints(rule, files)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("rule, files, path, text", RULES, ids=[r[0].__name__ for r in RULES])
def test_rule_sees_a_planted_violation(rule, files, path, text):
    assert rule(path, text)


def test_comments_and_literals_are_not_code():
    text = '// no mutex here\nconst char* s = "std::mutex";\n/* sleep_for\n */ int x;\n'
    assert not locks("cpp/src/sync/x.h", text)
    assert locks("cpp/src/sync/x.h", text + "std::mutex m;\n") == ["line 5: std::mutex m;"]


@pytest.mark.parametrize("line", [
    "#include <unistd.h>\nint n = read(fd, to, 1);", "auto n = ::write(fd, from, 1);",
    "if (fsync(fd) != 0) fail();", "FileDescriptor f(open(path, 0));", "return ::rename(a, b);",
    "fs::remove_all(path);", "std::ofstream out(path);", "mkdir(path, 0777);",
    "for (auto& e : std::filesystem::directory_iterator(p)) {"])
def test_file_calls_are_seen(line):
    assert direct_file_calls("cpp/src/base/x.cc", line + "\n")


@pytest.mark.parametrize("line", [
    "void write(const void* data, std::size_t size);", "file_calls().fsync(fd);",
    "void DurableFile::write(const void* data) {", "file.write(data, size);", "// open(path)",
    "f();\nread(0, to, size);"])
def test_what_is_no_file_call_is_not_seen(line):
    assert not direct_file_calls("cpp/src/base/x.cc", line + "\n")


def test_top_level_holds_what_the_design_lists():
    git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip("not a git checkout")
    names = {line.split("/")[0] for line in git.stdout.splitlines()}
    extra = {name for name in names if not name.startswith(".")} - TOP_LEVEL
    assert not extra


def test_every_cpp_test_belongs_to_a_layer():
    lost = [f for f in sources("tests/cpp") if f.endswith("_test.cc")
            and Path(f).parent.name not in {*LAYERS, "tools"}]
    assert not lost, f"CMake leaves these out: {lost}"


TESTED_WITH = {"train": {"inference"}}  # as tests/cpp/CMakeLists.txt: they run what was trained


def linked_with(layer):
    return {layer}.union(*(linked_with(needed) for needed in LAYERS[layer]))


def layers_included(file, seen):
    """The layers whose headers a test includes, itself or through support/."""
    found = set()
    for _, name in includes(file.read_text()):
        shared = ROOT / "tests/cpp/support" / name
        if shared.is_file() and shared not in seen:
            found |= layers_included(shared, seen | {shared})
        elif HOMES.get(name, name.split("/")[0]) in LAYERS:
            found.add(HOMES.get(name, name.split("/")[0]))
    return found


def test_a_cpp_test_lies_in_a_layer_that_sees_what_it_tests():
    for file in sources("tests/cpp"):
        layer = Path(file).parent.name
        if layer in LAYERS:
            extra = layers_included(ROOT / file, set()) - linked_with(layer)
            extra -= TESTED_WITH.get(layer, set())
            assert not extra, f"{file} includes headers of {extra}"


def test_every_layer_is_a_folder_and_depends_on_layers_before_it():
    folders = {f.name for f in (ROOT / "cpp/src").iterdir() if f.is_dir()}
    assert folders == set(LAYERS)
    order = list(LAYERS)
    for layer, needed in LAYERS.items():
        assert set(needed) <= set(order[:order.index(layer)]), layer


def test_every_declared_dependency_is_used():
    for layer, needed in LAYERS.items():
        used = {HOMES.get(name, name.split("/")[0]) for file in sources(f"cpp/src/{layer}")
                for _, name in includes((ROOT / file).read_text())}
        assert set(needed) <= used, f"{layer} includes nothing of {set(needed) - used}"


# -- every header compiles alone ----------------------------------------------------------------

def isa_flags():
    """Per kernel folder: the options that cpp/CMakeLists.txt compiles it with."""
    text = (ROOT / "cpp/CMakeLists.txt").read_text()
    return {name: options.split(";") for name, options in re.findall(
        r"\$\{(avx\w+)\}\s+PROPERTIES\s+COMPILE_OPTIONS\s+\"([^\"]*)\"", text)}


def flags_for(header):
    """A header in kernels/ISA gets that ISA; one in kernels/ itself is scalar when it is alone."""
    return isa_flags().get(Path(header).parent.name, [])


def compile_alone(header, flags, text=None):
    """Twice in one unit, so that a lost guard shows. Returns the compiler's complaints."""
    unit = text or f'#include "{ROOT / header}"\n' * 2
    command = [os.environ.get("CXX", "g++"), "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra",
               "-Werror", "-Wno-unused-function", "-I", str(ROOT / "cpp/src"),
               "-I", str(ROOT / "cpp/include"), *flags, "-x", "c++", "-"]
    return subprocess.run(command, input=unit, capture_output=True, text=True).stderr


needs_compiler = pytest.mark.skipif(not shutil.which(os.environ.get("CXX", "g++")),
                                    reason="no C++ compiler")


@needs_compiler
@pytest.mark.skipif(not ALL, reason="headers: tools/test.sh --all compiles each")
def test_every_header_compiles_alone():
    jobs = [(header, flags_for(header)) for header in sources("cpp") if header.endswith(".h")]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        said = list(pool.map(lambda job: compile_alone(*job), jobs))
    bad = [f"{header} {' '.join(flags)}\n{text}"
           for (header, flags), text in zip(jobs, said, strict=True) if text]
    assert len(jobs) > 10 and not bad, "\n".join(bad)


def test_each_isa_folder_has_options_of_its_own():
    assert {"avx2", "avx512"} <= set(isa_flags()) and all(isa_flags().values())


@needs_compiler
def test_a_header_that_needs_another_is_noticed():
    assert compile_alone("", [], "inline std::string name() { return {}; }\n")
    text = "#include <string>\ninline std::string name() { return {}; }\n"
    assert not compile_alone("", [], text)


def test_vector_options_stay_with_the_kernels():
    """A -m option anywhere else would put instructions into code that runs before dispatch."""
    files = [ROOT / "CMakeLists.txt", ROOT / "CMakePresets.json",
             *ROOT.glob("*/CMakeLists.txt"), *ROOT.glob("tests/*/CMakeLists.txt")]
    for file in files:
        text = re.sub(r"set_source_files_properties\([^)]*\)", "", file.read_text())
        assert not re.search(r"-m(?:arch|tune|avx|fma|sse|f16c)", text), file
        assert "fast-math" not in text and "-Ofast" not in text, file
