"""`cllm eval`: the loss of any model on any data, and answers to questions."""

import gzip
import json
import math

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy", "typer", "rich")
np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")

DONE, FAILED, BAD_INPUT = 0, 1, 2
TEXT = "the king sleeps or a queen speaks.\n" * 60


def evaluate(*words):
    from cllm import cli
    from typer.testing import CliRunner

    result = CliRunner().invoke(cli.app, ["eval", *map(str, words)])
    assert result.exit_code == DONE or result.output.count("\n") == 1, result.output
    return result.exit_code, result.output


def measured(*words):
    code, said = evaluate(*words, "--json")
    assert code == DONE, said
    return json.loads(said)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a text and two models of it: of bytes, and of words with their tokenizer."""
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("eval")
    (folder / "text.txt").write_text(TEXT)
    shape = {"layers": 2, "heads": 2, "dim": 24, "seq": 20}
    cllm.Model.create(cllm.ModelConfig(vocab=300, **shape), seed=5, byte_tokens=True).save(
        folder / "bytes")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.train_from_iterator([TEXT], tokenizers.trainers.BpeTrainer(
        vocab_size=290, show_progress=False, special_tokens=["<end>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    made = cllm.Model.create(cllm.ModelConfig(vocab=290, **shape), seed=6)
    made.save(folder / "words")
    tokenizer.save(str(folder / "words/tokenizer.json"))
    (folder / "words/manifest.json").unlink()
    config = folder / "words/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": 0}))
    return folder


# -- data ---------------------------------------------------------------------------------------

def test_the_loss_on_a_text(place):
    found = measured(place / "bytes", "--data", place / "text.txt")
    wanted = cllm.Model.load(place / "bytes").evaluate(place / "text.txt")
    assert found["context"] == 20 and found["data"]["window"] == 20
    assert found["data"]["val_loss"] == wanted.val_loss
    assert found["data"]["perplexity"] == pytest.approx(math.exp(wanted.val_loss))
    assert found["data"]["bits_per_byte"] == pytest.approx(wanted.val_loss / math.log(2))
    assert found["data"]["tokens"] == len(TEXT) - 1
    _, said = evaluate(place / "bytes", "--data", place / "text.txt")
    assert f"{len(TEXT) - 1:,} tokens in windows of 20 tokens" in said
    assert f"loss           {wanted.val_loss:.4f}" in said and "bits per byte" in said


def test_a_text_is_encoded_by_the_models_tokenizer(place):
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(
        str(place / "words/tokenizer.json"))
    ids = tokenizer.encode(TEXT).ids
    model = cllm.Model.load(place / "words")
    found = measured(place / "words", "--data", place / "text.txt")["data"]
    assert found["val_loss"] == model.evaluate(ids).val_loss == model.evaluate(TEXT).val_loss
    assert found["tokens"] == len(ids) - 1
    assert found["bits_per_byte"] == pytest.approx(
        found["val_loss"] / math.log(2) * len(ids) / len(TEXT))
    (place / "more").mkdir(exist_ok=True)
    for name in ("a.txt", "b.txt"):
        (place / "more" / name).write_text(TEXT)
    both = measured(place / "words", "--data", place / "more/*.txt")["data"]
    assert both["tokens"] == 2 * (len(ids) + 1) - 1, "an end of text follows each of them"


def test_a_long_text_has_the_tokens_of_the_whole(place, monkeypatch):
    from cllm import _text_data
    from cllm.prepare import pieces

    text = TEXT + "no-space" * 50 + " \n  the  king"
    model = cllm.Model.load(place / "words")
    (place / "long.txt").write_text(text)
    whole = _text_data.of_texts(model, [text], ends=False).ids.tolist()
    monkeypatch.setattr(pieces, "PIECE", 100)
    monkeypatch.setattr(_text_data, "_BATCH", 300)
    assert len(list(pieces.cut_documents(iter([(text, True)]), True, ""))) > 20
    found = _text_data.of_path(model, str(place / "long.txt"))
    assert found.ids.tolist() == whole and found.text_bytes == len(text)


@pytest.mark.parametrize("name", ["bytes", "words"])
def test_documents_are_read_as_prepare_reads_them(place, name):
    model = cllm.Model.load(place / name)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("the king", "", "a queen\u00e9"))
    (place / "docs.jsonl").write_text(lines)
    (place / "docs.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (place / "folder").mkdir(exist_ok=True)
    (place / "folder/1.txt").write_text("the king")
    (place / "folder/2.md").write_text("a queen\u00e9")
    wanted = model.evaluate(["the king", "a queen\u00e9"])
    for data in ("docs.jsonl", "docs.jsonl.gz", "folder", "docs.jsonl*"):
        found = measured(place / name, "--data", place / data)["data"]
        if data.endswith("*"):
            assert found["tokens"] == 2 * wanted.val_tokens + 1
        else:
            assert (found["val_loss"], found["tokens"]) == (wanted.val_loss, wanted.val_tokens)
            assert found["bits_per_byte"] > 0
    (place / "bad.jsonl").write_text('{"text": "a"}\n{"txt": "a"}\n')
    code, said = evaluate(place / name, "--data", place / "bad.jsonl")
    assert code == BAD_INPUT and "line 2" in said


def test_a_prepared_data_set_gives_what_its_text_gives(place, tmp_path):
    from cllm.prepare import prepare

    (tmp_path / "val.jsonl").write_text(json.dumps({"text": TEXT}) + "\n")
    (tmp_path / "train.txt").write_text(TEXT[:300])
    prepare([tmp_path / "train.txt"], tmp_path / "set", tokenizer=str(place / "words"),
            val=[tmp_path / "val.jsonl"], end_of_text="<end>")
    folder = tmp_path / "model"
    made = cllm.Model.load(place / "words")
    made.save(folder)
    (folder / "manifest.json").unlink()
    (folder / "tokenizer.json").write_bytes((tmp_path / "set/tokenizer.json").read_bytes())
    code, said = evaluate(place / "bytes", "--data", tmp_path / "set")
    assert code == BAD_INPUT and "this model's tokens are bytes" in said and "--vocab" not in said
    found = measured(folder, "--data", tmp_path / "set")["data"]
    wanted = measured(folder, "--data", tmp_path / "val.jsonl")["data"]
    assert {**found, "path": ""} == {**wanted, "path": ""}
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text())))
    code, said = evaluate(folder, "--data", tmp_path / "set")
    assert code == BAD_INPUT and "another tokenizer" in said


def test_a_sample_is_the_same_every_time(place):
    words = (place / "bytes", "--data", place / "text.txt", "--tokens", 100)
    found = measured(*words)["data"]
    assert found["tokens"] == 100 and found["tokens_total"] == len(TEXT) - 1
    assert measured(*words, "--workers", 3)["data"] == found
    assert measured(*words[:-2], "--max-tokens", 100)["data"] == found
    assert measured(*words[:-1], 10**9)["data"]["tokens"] == len(TEXT) - 1
    model, ids = cllm.Model.load(place / "bytes"), list(TEXT.encode())
    middles = [10, 31, 52, 72, 93]  # of five parts of the 104 whole windows
    losses = [model.evaluate(ids[20 * i:20 * i + 21]).val_loss for i in middles]
    assert found["val_loss"] == pytest.approx(np.mean(losses))
    assert "spread evenly" in evaluate(*words)[1]


# -- windows of bytes -----------------------------------------------------------------------------

def bits_of(model, text):
    """Bits per byte of a text after an end of text, one token at a time, each after at least half
    a context where there is so much."""
    from cllm._likelihood import encoder

    encode, start = encoder(model)
    ids = [start[-1], *encode(text)]
    half, total = model.config.seq // 2, 0.0
    for at in range(1, len(ids)):
        end = 1 + -(-at // half) * half if len(ids) - 1 > model.config.seq else len(ids)
        sees = ids[max(0, min(end, len(ids)) - 1 - model.config.seq):at]
        row = model.logits(np.array([sees]))[0][-1].astype(np.float64)
        total -= row[ids[at]] - row.max() - np.log(np.exp(row - row.max()).sum())
    return total / math.log(2) / len(text.encode())


def test_windows_of_bytes_are_the_same_for_any_tokenizer(place):
    texts = ["the king sl\u00e9eps. " * 6, "a", "", "\u5317" * 50]
    file = write(place / "windows.jsonl", [{"text": text} for text in texts])
    found = {}
    for name in ("bytes", "words"):
        words = (place / name, "--data", file, "--window-bytes", 50)
        found[name] = measured(*words)["data"]
        model, total = cllm.Model.load(place / name), 0.0
        cuts = ["the king sl\u00e9eps. the king sl\u00e9eps. the king", " sl\u00e9eps. the king "
                "sl\u00e9eps. the king sl\u00e9eps. the", " king sl\u00e9eps. ", "a"]
        cuts += ["\u5317" * 16] * 3 + ["\u5317" * 2]
        assert "".join(cuts) == "".join(texts)
        assert [window["bytes"] for window in found[name]["windows"]] == [
            len(cut.encode()) for cut in cuts]
        for cut, window in zip(cuts, found[name]["windows"], strict=True):
            assert window["bits_per_byte"] == pytest.approx(bits_of(model, cut), rel=1e-5)
            total += window["bits_per_byte"] * window["bytes"]
        assert found[name]["bytes"] == sum(len(text.encode()) for text in texts)
        assert found[name]["bits_per_byte"] == pytest.approx(total / found[name]["bytes"])
        said = evaluate(*words)[1]
        assert "in 8 windows of at most 50" in said
        assert f"{total / found[name]['bytes']:.4f}" in said
    assert found["bytes"]["tokens"] == found["bytes"]["bytes"] > found["words"]["tokens"]


def test_some_windows_are_the_same_every_time(place):
    words = (place / "words", "--data", place / "text.txt", "--window-bytes", 64)
    whole = measured(*words)["data"]
    some = measured(*words, "--limit", 3)["data"]
    n = len(whole["windows"])
    assert some["windows_total"] == n > 30
    assert some["windows"] == [whole["windows"][i] for i in (n // 6, n // 2, 5 * n // 6)]
    assert "in 3 of " in evaluate(*words, "--limit", 3)[1]
    mean = sum(window["bits_per_byte"] * window["bytes"] / some["bytes"]
               for window in some["windows"])
    assert some["bits_per_byte"] == pytest.approx(mean)
    off = [window["bytes"] * (window["bits_per_byte"] - mean) for window in some["windows"]]
    assert some["bits_per_byte_stderr"] == pytest.approx(
        math.sqrt(sum(x * x for x in off) * 3 / 2) / some["bytes"])
    assert measured(*words, "--limit", 1)["data"]["bits_per_byte_stderr"] is None


def test_windows_of_a_data_set_are_those_of_its_text(place, tmp_path):
    from cllm.prepare import prepare

    (tmp_path / "val.jsonl").write_text(json.dumps({"text": TEXT}) + "\n")
    (tmp_path / "train.txt").write_text(TEXT[:300])
    for tokenizer in ("bytes", "bpe:270"):
        made = tmp_path / tokenizer[:3]
        prepare([tmp_path / "train.txt"], made, tokenizer=tokenizer, val=[tmp_path / "val.jsonl"])
        for model in ("bytes", "words"):
            found = [measured(place / model, "--window-bytes", 500, "--data", data)["data"]
                     for data in (made, tmp_path / "val.jsonl")]
            assert {**found[0], "path": ""} == {**found[1], "path": ""}


def test_ids_say_no_bits_per_byte(place):
    np.save(place / "ids.npy", np.frombuffer(TEXT.encode(), np.uint8).astype(np.uint16))
    assert measured(place / "words", "--data", place / "ids.npy")["data"]["bits_per_byte"] is None
    assert "not known" in evaluate(place / "words", "--data", place / "ids.npy")[1]


def test_a_run_and_its_validation_part(settings, tmp_path):
    run = cllm.Trainer(cllm.TrainConfig(**settings))
    run.run()
    found = measured(settings["out"], "--data", settings["data"])["data"]
    whole = cllm.Model.load(settings["out"]).evaluate(settings["data"])
    assert found["val_loss"] == whole.val_loss
    ids = np.frombuffer(settings["data"].read_bytes(), np.uint8).astype("<u2")
    folder = tmp_path / "tokens"
    folder.mkdir()
    ids[:2000].tofile(folder / "train.bin")
    ids[2000:3000].tofile(folder / "val.bin")
    assert measured(settings["out"], "--data", folder)["data"]["tokens"] == 999


@pytest.mark.parametrize("words, part", [
    ([], "nothing to evaluate on"), (["--data", "none"], "none"),
    (["--data", "empty"], "empty: too little"),
    (["--data", "latin.txt"], "byte 3"), (["--data", "text.txt", "--tokens", "-1"], "--tokens"),
    (["--data", "text.txt", "--limit", "3"], "--limit"), (["--choices", "none"], "none"),
    (["--data", "text.txt", "--workers", "0"], "--workers"),
    (["--choices", "text.txt", "--tokens", "3"], "--tokens"),
    (["--choices", "text.txt", "--window-bytes", "99"], "--window-bytes"),
    (["--data", "text.txt", "--window-bytes", "0"], "--window-bytes"),
    (["--data", "text.txt", "--window-bytes", "15"], "16 to 1048576"),
    (["--data", "text.txt", "--window-bytes", "99", "--tokens", "3"], "--limit N"),
    (["--data", "empty", "--window-bytes", "99"], "empty: no text"),
    (["--data", "latin.txt", "--window-bytes", "99"], "byte 3"),
    (["--data", "ids.npy", "--window-bytes", "99"], "tokens are no text"),
    (["--choices", "text.txt", "--limit", "0"], "--limit"),
    (["--choices", "empty"], "no questions"), (["--choices", "text.txt"], "line 1: no JSON"),
    (["--choices", "cut.gz"], "damaged"), (["--choices", "."], "cannot be read"),
])
def test_what_cannot_be_is_one_line(place, monkeypatch, words, part):
    monkeypatch.chdir(place)
    (place / "empty").write_bytes(b"")
    np.save(place / "ids.npy", np.arange(9))
    (place / "latin.txt").write_bytes(b"caf\xe9 au lait" * 9)
    (place / "cut.gz").write_bytes(gzip.compress(bytes(9999))[:-9])
    code, said = evaluate("words", *words)
    assert code == BAD_INPUT and said.startswith("cllm: ") and part in said


@pytest.fixture
def blind(tmp_path):
    """A model whose tokenizer has tokens for two words, and none for anything else."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"the": 1, "king": 2}))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    model = cllm.Model.create(cllm.ModelConfig(vocab=3, layers=1, heads=1, dim=8, seq=20), seed=1)
    model.save(tmp_path / "blind")
    tokenizer.save(str(tmp_path / "blind/tokenizer.json"))
    (tmp_path / "blind/manifest.json").unlink()
    return tmp_path / "blind"


@pytest.mark.parametrize("end", [None, 0])
def test_a_text_that_gives_no_tokens_is_too_little(blind, end):
    config = json.loads((blind / "config.json").read_text())
    (blind / "config.json").write_text(json.dumps(config | {"eos_token_id": end}))
    file = blind.parent / "blind.txt"
    words = (blind, "--data", file, "--window-bytes", 16)
    for text, tokens in ((" " * 40, 0), ("the\n", 1), (" " * 40 + "king" + " " * 40 + "the", 2)):
        file.write_text(text)
        code, said = evaluate(*words)
        if tokens and end is not None:
            assert code == DONE and f", {tokens} token" in said
            continue
        assert code == BAD_INPUT and f"{file}: too little to evaluate: got {tokens} token" in said
        assert f"expected at least {2 if end is None else 1} in one of" in said
    file.write_text(" " * 40 + "the king the")  # windows of none, none, one and two tokens
    found = measured(*words)["data"]
    assert found["tokens"] == 3 and [w["bits_per_byte"] > 0 for w in found["windows"]] == [
        False, False, end is not None, True]


def test_an_answer_that_gives_no_tokens_is_refused(blind):
    file = blind.parent / "blind.jsonl"
    answer = "line 1: an answer without tokens to predict: got '"
    for context, choices, words in (("the", ["king", " "], answer), ("", ["king", "the"], answer),
                                    ("the", ["king", "queen"], "tokenizer does not take a text")):
        write(file, [{"context": context, "choices": choices, "label": 0}])
        code, said = evaluate(blind, "--choices", file)
        assert code == BAD_INPUT and words in said
    with pytest.raises(cllm.InputError, match="tokenizer does not take a text"):
        cllm.Model.load(blind).generate("queen", tokens=2)


def test_a_model_that_is_not_there(place):
    assert evaluate(place / "nowhere", "--data", place / "text.txt")[0] == BAD_INPUT
    assert evaluate(place / "text.txt", "--data", place / "text.txt")[0] == BAD_INPUT


# -- choices ------------------------------------------------------------------------------------

QUESTIONS = [
    {"context": "the king", "choices": ["sleeps", "or a queen speaks.", "\u00e9"], "label": 0},
    {"question": "a queen ", "choices": ["speaks", "the"], "answer": 1},
    {"context": "", "choices": ["the king", "queen"], "label": "1"},
    {"context": "the king sleeps or a queen speaks or the king", "choices": ["sleeps", "is"],
     "label": 1},
]


def write(file, records):
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def likelihood(model, encode, context, choice):
    """One choice alone, one position at a time."""
    whole = encode(context.rstrip() + context[len(context.rstrip()):]
                   + (" " if context.strip() == context != "" else "") + choice)
    before = len(encode(context.rstrip()))
    if before == 0:
        whole, before = [*model.end_tokens[:1], *whole], 1
    total = 0.0
    sees = whole[-(model.config.seq + 1):]
    logits = model.logits(np.array([sees[:-1]]))[0].astype(np.float64)
    for at in range(len(sees) - (len(whole) - before), len(sees)):
        row = logits[at - 1]
        total += row[sees[at]] - np.log(np.exp(row).sum())
    return total


@pytest.mark.parametrize("name", ["bytes", "words"])
def test_choices_are_scored_as_one_by_one(place, name):
    from cllm._likelihood import encoder

    model = cllm.Model.load(place / name)
    encode = encoder(model)[0]
    right = {"acc": [], "acc_norm": [], "acc_bytes": []}
    for asked in QUESTIONS:
        context = asked.get("context", asked.get("question"))
        label = int(asked.get("label", asked.get("answer")))
        scores = np.array([likelihood(model, encode, context, c) for c in asked["choices"]])
        for kind, sizes in (("acc", [1] * len(scores)), ("acc_norm", map(len, asked["choices"])),
                            ("acc_bytes", [len(c.encode()) for c in asked["choices"]])):
            right[kind].append(np.argmax(scores / list(sizes)) == label)
    found = measured(place / name, "--choices", write(place / "q.jsonl", QUESTIONS))["choices"]
    assert found["questions"] == 4 and found["of"] == 9
    for kind, answers in right.items():
        assert found[kind] == np.mean(answers), kind
        assert found[f"{kind}_stderr"] == pytest.approx(np.std(answers, ddof=1) / 2)
    one = measured(place / name, "--choices", place / "q.jsonl", "--limit", 1)["choices"]
    assert one["questions"] == 1 and one["acc_stderr"] is None
    assert found["cut"] == {"bytes": 3, "words": 0}[name]


def test_a_batch_changes_no_likelihood(place, monkeypatch):
    from cllm import _choices, _likelihood

    model = cllm.Model.load(place / "bytes")
    encode, start = _likelihood.encoder(model)
    windows, wanted = [], []
    for row, (context, choice) in enumerate([("the", "king"), ("a queen speaks", "or"),
                                             ("", "x"), ("w", "e"), ("the king sleeps", "or a")]):
        tokens, before = _choices._pair(context, choice, encode, start)
        windows += _likelihood.windows_of(tokens, len(tokens) - before, 20, row)
        wanted.append(likelihood(model, encode, context, choice))
    for most in (1, 2, 256):
        monkeypatch.setattr(_likelihood, "_MOST_ROWS", most)
        done = []
        found = _likelihood.log_likelihoods(model, windows, 5, done.append)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        assert sum(done) == len(windows)


def test_windows_predict_every_target_once():
    from cllm._likelihood import windows_of

    for tokens in range(2, 40):
        for targets in range(1, tokens):
            seen = []
            for window in windows_of(list(range(tokens)), targets, 8, 0):
                assert window.targets < len(window.tokens) <= 9
                seen += window.tokens[-window.targets:]
            assert seen == list(range(tokens - targets, tokens))


def test_a_cut_context_is_told(place):
    long = [{"context": "the king " * 30, "choices": ["sleeps", "the queen " * 9], "label": 0}]
    found = measured(place / "bytes", "--choices", write(place / "long.jsonl", long))["choices"]
    assert found["cut"] == 2
    assert "2 of 2 choices did not fit" in evaluate(
        place / "bytes", "--choices", place / "long.jsonl")[1]


@pytest.mark.parametrize("record, part", [
    ([1], "list"), ({}, "no fields"), ({"context": "a", "choices": ["b", "c"]}, "label"),
    ({"context": "a", "question": "b", "choices": ["b", "c"], "label": 0}, "context and question"),
    ({"context": 3, "choices": ["b", "c"], "label": 0}, "context: got int"),
    ({"context": "a", "choices": [], "label": 0}, "0 of them"),
    ({"context": "a", "choices": ["b"], "label": 0}, "1 of them"),
    ({"context": "a", "choices": "bc", "label": 0}, "choices"),
    ({"context": "a", "choices": ["b", ""], "label": 0}, "choices[1]"),
    ({"context": "a", "choices": ["b", 3], "label": 0}, "choices[1]"),
    ({"context": "a", "choices": ["b", "c"], "label": 2}, "0 to 1"),
    ({"context": "a", "choices": ["b", "c"], "label": -1}, "0 to 1"),
    ({"context": "a", "choices": ["b", "c"], "label": True}, "0 to 1"),
    ({"context": "a", "choices": ["b", "c"], "label": "B"}, "0 to 1"),
    ({"context": "a", "choices": ["b", "c"], "label": 0.0}, "0 to 1"),
    ({"context": "\ud800", "choices": ["b", "c"], "label": 0}, "surrogate"),
])
def test_a_wrong_question_is_named_by_its_line(place, record, part):
    file = write(place / "bad.jsonl", [QUESTIONS[0], record])
    code, said = evaluate(place / "bytes", "--choices", file)
    assert code == BAD_INPUT and "line 2" in said and part in said, said


def test_hellaswag_comes_from_its_archive(place, monkeypatch):
    from cllm import _corpora, _eval_command

    corpus = _corpora.CORPORA["hellaswag"]
    made = _corpora.Corpus(corpus.name, "", 1, "", "", corpus.archive,
                           lambda _: (json.dumps(q) for q in QUESTIONS), corpus.kind)
    monkeypatch.setitem(_corpora.CORPORA, "hellaswag", made)
    monkeypatch.setattr(_eval_command._package_index, "fetch", lambda archive, tell: None)
    monkeypatch.chdir(place)
    found = measured("bytes", "--choices", "hellaswag")["choices"]
    write(place / "q.jsonl", QUESTIONS)
    assert found == measured("bytes", "--choices", "q.jsonl")["choices"] | {"path": "hellaswag"}


def test_a_model_without_numbers_is_a_failure(place, tmp_path):
    model = cllm.Model.load(place / "bytes")
    largest = model.parameters()
    for array in largest.values():
        array[:] = 1e30
    model.save(tmp_path / "wild")
    code, said = evaluate(tmp_path / "wild", "--choices", write(tmp_path / "q", QUESTIONS))
    assert code == FAILED and "no numbers" in said
    found = measured(tmp_path / "wild", "--data", place / "text.txt")["data"]
    assert found["val_loss"] is None and found["perplexity"] is None
