"""Tokens of `cllm prepare` are those that transformers gives for the same tokenizer, and back."""

import importlib
import json
import random
import unicodedata

import pytest
from conftest import contents, needs

cllm = pytest.importorskip("cllm")
numpy = pytest.importorskip("numpy")
library = pytest.importorskip("tokenizers")
encode, pieces, tokenizers, work = (importlib.import_module(f"cllm.prepare.{name}") for name in (
    "encode", "pieces", "tokenizers", "work"))
DataSet = importlib.import_module("cllm.token_files").DataSet
prepare = work.prepare

PARTS = [
    "the ", "The", " WORD", "it's", "we'LL", " don\u2019t", "naïve ", "A\u0300", "ﬁ", "\u017f",
    "İstanbul", "北京很大。", "ありがとう", "안녕하세요 ", "Привет, мир", "שלום", "مرحبا",
    "नमस्ते", "ไทย", "ελληνικά", "🎉", "👩‍👧", "🇩🇪", "☃\ufe0f", "\U0001d518\U0001d52b", "\U0010ffff",
    "\ue000", "\ufffd", "\ufffe", "\ufeff", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r",
    "\x0b", "\x0c", "\x1b[31m", "\x00", "\x7f", "\x85", "\u00a0", "\u200b", "\u2028", "\u3000",
    "\u202e", "for (int i = 0; i < n; ++i) {\n    x[i] += 1;\n}", "def f(x):\n\treturn x**2",
    "a_b-c.d/e\\f", "<|endoftext|>", "<|im_start|>", "</s>", "[UNK]", "<s>", "0", "12345",
    "3.14e-10", "½", "²", "٣", "!?", "...", "''", '"', "``", "-" * 20, "$", "%s", "#", "@", "~",
    "http://x.org/?q=1&r=%20", "x" * 30, "ÿ", "Â", "â€™", "\\u0041", "&amp;"]


def lines(count=1000):
    """Lines of many scripts, signs and spaces, and of any characters."""
    pick = random.Random(16)
    found = [*PARTS]
    while len(found) < count:
        line = "".join(pick.choices(PARTS, k=pick.randrange(1, 12)))
        found.append(line + "".join(map(chr, (
            pick.choice([pick.randrange(0xd800), pick.randrange(0xe000, 0x110000)])
            for _ in range(pick.choice([0, 0, 4]))))))
    return found


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """The lines as a file of documents."""
    path = tmp_path_factory.mktemp("lines") / "lines.jsonl"
    path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines()))
    return path


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(pieces, "BATCH", 5000)


def check_parity(folder, wanted):
    """The documents' tokens are transformers', and their text is the line."""
    auto = importlib.import_module("transformers").AutoTokenizer.from_pretrained(folder)
    data = DataSet(folder, verify=True)
    found = [tokens.tolist() for tokens in data.documents("train")]
    assert len(found) == len(wanted)
    for line, ids in zip(wanted, found, strict=True):
        assert auto(line, add_special_tokens=False)["input_ids"] == ids, ascii(line)
        assert auto.decode(ids) == line and data.decode(ids) == line, ascii(line)


@needs("transformers")
@pytest.mark.parametrize("tokenizer", ["bytes", "chars", "bpe:257", "bpe:600", "bpe:3000"])
def test_tokens_are_those_of_auto_tokenizer(texts, tmp_path, small, tokenizer):
    made = prepare([texts], tmp_path / "set", tokenizer=tokenizer, val_fraction=0)
    check_parity(tmp_path / "set", lines())
    assert made["train"]["text_bytes"] == sum(len(line.encode()) for line in lines())
    again = prepare([texts], tmp_path / "again", tokenizer=str(tmp_path / "set"), val_fraction=0)
    assert again["tokenizer"]["sha256"] == made["tokenizer"]["sha256"]
    for first, second in zip(DataSet(tmp_path / "set").files(), DataSet(tmp_path / "again").files(),
                             strict=True):
        assert numpy.array_equal(first, second)


@needs("transformers")
@pytest.mark.parametrize("tokenizer", ["bytes", "chars", "bpe:600"])
def test_ids_by_frequency(texts, tmp_path, small, tokenizer):
    own = prepare([texts], tmp_path / "own", tokenizer=tokenizer, val_fraction=0)
    made = prepare([texts], tmp_path / "set", tokenizer=tokenizer, val_fraction=0,
                   order="frequency")
    check_parity(tmp_path / "set", lines())
    data, before = DataSet(tmp_path / "set"), DataSet(tmp_path / "own")
    counts = numpy.bincount(numpy.concatenate(data.files()), minlength=data.vocabulary)
    assert (numpy.diff(counts[:-1]) <= 0).all(), "the most frequent first"
    assert data.end_of_text == before.end_of_text == data.vocabulary - 1, "it keeps its place"
    assert made["tokenizer"]["special_tokens"] == own["tokenizer"]["special_tokens"]
    assert sorted(counts) == sorted(numpy.bincount(numpy.concatenate(before.files()),
                                                   minlength=before.vocabulary)), "the same tokens"
    assert made["settings"]["order"] == "frequency"
    assert "order" not in own["settings"]
    again = prepare([texts], tmp_path / "again", tokenizer=tokenizer, val_fraction=0,
                    order="frequency")
    assert again["tokenizer"]["sha256"] == made["tokenizer"]["sha256"]


def test_ids_by_frequency_are_those_of_a_sample(texts, tmp_path, monkeypatch):
    """Of long texts a part is counted, as the help says."""
    said = f"sample of {round(work.SAMPLE / 1e6)} million characters"
    command = importlib.import_module("cllm._prepare_command")
    option = command.prepare.__annotations__["order"].__metadata__[0]
    for text in (prepare.__doc__, option.help):
        assert said in " ".join(text.split())
    counted = []
    by_frequency = tokenizers.by_frequency

    def listen(tokenizer, sample):
        sample = list(sample)
        counted.append(sum(map(len, sample)))
        return by_frequency(tokenizer, iter(sample))

    monkeypatch.setattr(tokenizers, "by_frequency", listen)
    prepare([texts], tmp_path / "whole", order="frequency")
    monkeypatch.setattr(work, "SAMPLE", counted[0] // 4)
    prepare([texts], tmp_path / "part", order="frequency")
    assert 0 < counted[1] < counted[0]


def test_ids_that_are_given_stay(texts, tmp_path, small):
    prepare([texts], tmp_path / "set", tokenizer="bpe:300", val_fraction=0)
    with pytest.raises(cllm.InputError, match=r"order.*keeps its ids.*expected bytes, chars or"):
        prepare([texts], tmp_path / "again", tokenizer=str(tmp_path / "set"), order="frequency")
    with pytest.raises(cllm.InputError, match=r"order.*expected own or frequency"):
        prepare([texts], tmp_path / "again", order="random")
    assert not (tmp_path / "again").exists()


def test_another_order_is_another_data_set(texts, tmp_path, small):
    """An unfinished data set goes on only in the order in which it was begun."""
    def stopped(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work.Work, "encode", stopped)
        with pytest.raises(KeyboardInterrupt):
            prepare([texts], tmp_path / "set", tokenizer="bpe:300", order="frequency")
    with pytest.raises(cllm.InputError, match="got another order"):
        prepare([texts], tmp_path / "set", tokenizer="bpe:300")
    prepare([texts], tmp_path / "set", tokenizer="bpe:300", order="frequency")


def lists_of(folder, config, names=("<|endoftext|>",)):
    """GPT-2's old files: vocabulary and merges, with these special tokens at the end."""
    tokenizer = library.Tokenizer.from_str(
        tokenizers.train_bpe(iter(lines(300)), 500).json)
    folder.mkdir()
    tokenizer.model.save(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary.update({name: len(vocabulary) + i for i, name in enumerate(names)})
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@needs("transformers")
@pytest.mark.parametrize("more", [{}, {"add_prefix_space": True}, {"split_special_tokens": True}])
def test_vocabulary_and_merges_without_tokenizer_json(texts, tmp_path, small, more):
    folder = lists_of(tmp_path / "gpt2", {"tokenizer_class": "GPT2Tokenizer", **more})
    made = prepare([texts], tmp_path / "set", tokenizer=str(folder), val_fraction=0)
    assert made["tokenizer"]["special_tokens"] == {"<|endoftext|>": 499}
    auto = importlib.import_module("transformers").AutoTokenizer.from_pretrained(folder)
    for line, ids in zip(lines(), DataSet(tmp_path / "set").documents(), strict=True):
        if "<|endoftext|>" not in line or more.get("split_special_tokens") is None:
            assert auto(line)["input_ids"] == ids.tolist(), ascii(line)


@needs("transformers")
@pytest.mark.parametrize("split", [False, True])
def test_names_of_special_tokens_in_a_text_are_what_the_tokenizer_says(tmp_path, split):
    folder = lists_of(tmp_path / "gpt2", {"tokenizer_class": "GPT2Tokenizer",
                                          "split_special_tokens": split})
    (tmp_path / "a.txt").write_text("one <|endoftext|> two")
    prepare([tmp_path / "a.txt"], tmp_path / "set", tokenizer=str(folder), val_fraction=0)
    ids = DataSet(tmp_path / "set").files()[0].tolist()
    assert (499 in ids[:-1]) is not split and ids[-1] == 499
    auto = importlib.import_module("transformers").AutoTokenizer.from_pretrained(tmp_path / "set")
    assert auto("one <|endoftext|> two")["input_ids"] == ids[:-1]


def test_long_documents_have_the_tokens_of_the_whole(tmp_path, monkeypatch):
    text = "".join(lines(600)).replace("<|endoftext|>", "")
    monkeypatch.setattr(pieces, "PIECE", 300)
    (tmp_path / "a.txt").write_text(text.replace("\0", ""), newline="")
    (tmp_path / "t.json").write_text(tokenizers.train_bpe(iter(lines()), 900).json)
    prepare([tmp_path / "a.txt"], tmp_path / "set", tokenizer=str(tmp_path / "t.json"),
            val_fraction=0)
    tokenizer = library.Tokenizer.from_file(str(tmp_path / "t.json"))
    found = DataSet(tmp_path / "set").files()[0][:-1].tolist()
    assert tokenizer.decode(found, skip_special_tokens=False) == text.replace("\0", "")
    whole = tokenizer.encode(text.replace("\0", ""), add_special_tokens=False).ids
    assert abs(len(found) - len(whole)) < len(whole) / 1000


def test_more_than_65536_tokens_take_32_bits(tmp_path):
    characters = [chr(c) for c in range(0x20, 0x20000) if unicodedata.category(chr(c)) != "Cs"]
    (tmp_path / "a.txt").write_text("".join(characters) + "\U0001ffff")
    made = prepare([tmp_path / "a.txt"], tmp_path / "set", tokenizer="chars", val_fraction=0)
    data = DataSet(tmp_path / "set", verify=True)
    assert made["width"] == 4 and data.vocabulary == len(characters) + 1 > 65536
    assert data.files()[0].tolist() == [
        *range(len(characters)), len(characters) - 1, data.end_of_text]


def test_the_same_texts_train_the_same_tokenizer(texts, tmp_path):
    for name in ("one", "two"):
        prepare([texts], tmp_path / name, tokenizer="bpe:700")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
