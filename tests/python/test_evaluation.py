"""Evaluating and generating with whatever one has: texts, ids, files, prompts, lists of them."""

import json
import math

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy")
np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")

TEXT = "the king sleeps or a queen speaks.\n" * 40


@pytest.fixture(scope="module")
def model():
    config = cllm.ModelConfig(layers=2, heads=2, dim=24, seq=20, vocab=300)
    return cllm.Model.create(config, seed=5, byte_tokens=True, workers=2)


def loss_of(model, ids, length):
    """The mean over windows of this length that lie side by side, from logits."""
    losses = []
    for start in range(0, len(ids) - 1, length):
        window = np.asarray(ids[start:start + length + 1])
        wide = model.logits(window[None, :-1])[0].astype(np.float64)
        picked = np.take_along_axis(wide, window[1:, None], axis=-1)[:, 0]
        losses += list(np.log(np.exp(wide).sum(-1)) - picked)
    return float(np.mean(losses))


def test_a_model_evaluates_a_text(model, tmp_path):
    ids = list(TEXT.encode())
    report = model.evaluate(TEXT)
    assert report.val_loss == pytest.approx(loss_of(model, ids, 20), rel=1e-5)
    assert report.perplexity == pytest.approx(math.exp(report.val_loss))
    assert report.bits_per_byte == pytest.approx(report.val_loss / math.log(2))
    assert report.step is None and report.to_dict()["perplexity"] == report.perplexity
    assert report.val_tokens == report.val_tokens_total == len(ids) - 1
    (tmp_path / "text").write_text(TEXT)
    assert model.evaluate(tmp_path / "text") == model.evaluate(TEXT.encode()) == report
    for same in (ids, np.array(ids), (i for i in ids)):
        found = model.evaluate(same)
        assert found.val_loss == report.val_loss and found.bits_per_byte is None
    assert model.evaluate(ids, text_bytes=len(ids)).bits_per_byte == pytest.approx(
        report.bits_per_byte)
    assert model.evaluate("a\n").val_tokens == 1


def test_an_evaluation_does_not_depend_on_workers(model, tmp_path):
    model.save(tmp_path / "model")
    for workers in (1, 5):
        other = cllm.Model.load(tmp_path / "model", workers=workers)
        assert other.evaluate(TEXT) == model.evaluate(TEXT)


def test_a_trainer_evaluates_other_data(settings, tmp_path):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    before = trainer.evaluate()
    found = trainer.evaluate(TEXT)
    assert found.val_loss != before.val_loss and found.step == 0
    assert found.val_tokens == len(TEXT) - 1
    assert trainer.evaluate() == before, "the validation part is as it was"
    trainer.run()
    trainer.save(tmp_path / "model")
    short = cllm.Model.load(tmp_path / "model")
    assert trainer.evaluate(TEXT).val_loss == pytest.approx(short.evaluate(TEXT).val_loss)
    assert trainer.num_parameters() == short.num_parameters() == sum(
        array.size for array in trainer.parameters().values())
    twin = cllm.Trainer(cllm.TrainConfig(**settings | {"out": tmp_path / "twin"}))
    twin.run()
    assert twin.weights_hash() == trainer.weights_hash(), "evaluations change nothing"


def test_what_a_model_cannot_read_is_refused(model, tmp_path):
    (tmp_path / "one").write_text("a")
    for data, part in ((range(301), "got 300"), (tmp_path / "one", "too little"), ([1], "little"),
                       ("nowhere", "no such file"), (3, "not data")):
        with pytest.raises(cllm.InputError, match=part):
            model.evaluate(data)
    ids = cllm.Model.create(cllm.ModelConfig(layers=1, heads=1, dim=8, vocab=300))
    with pytest.raises(cllm.InputError, match="tokenizer"):
        ids.evaluate(TEXT)


def test_a_list_of_prompts_gives_a_list(model):
    assert model.generate(["To be", "or"], tokens=9) == [model.generate("To be", tokens=9),
                                                         model.generate("or", tokens=9)]
    assert model.generate([b"To", b"be"], tokens=3) == [model.generate(b"To", tokens=3),
                                                        model.generate(b"be", tokens=3)]
    one, two = model.generate([[1, 2], [3]], tokens=4)
    np.testing.assert_array_equal(one, model.generate([1, 2], tokens=4))
    np.testing.assert_array_equal(two, model.generate([3], tokens=4))
    rows = model.generate(np.array([[1, 2], [3, 4]]), tokens=4)
    np.testing.assert_array_equal(rows[0], one)
    with pytest.raises(cllm.InputError, match="several prompts"):
        model.generate(["a", "b"], on_token=print)


# -- a model with a tokenizer -------------------------------------------------------------------

@pytest.fixture
def with_tokenizer(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    words = [*sorted(set(TEXT.split())), "ö", "<end>"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(
        {word: i for i, word in enumerate([*words, "?"])}, unk_token="?"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made = cllm.Model.create(cllm.ModelConfig(layers=1, heads=2, dim=16, seq=12, vocab=20), seed=3)
    made.save(tmp_path / "model")
    tokenizer.save(str(tmp_path / "model/tokenizer.json"))
    (tmp_path / "model/manifest.json").unlink()
    config = json.loads((tmp_path / "model/config.json").read_text())
    (tmp_path / "model/config.json").write_text(
        json.dumps(config | {"eos_token_id": words.index("<end>")}))
    return cllm.Model.load(tmp_path / "model"), tokenizer


def test_text_goes_through_the_models_tokenizer(with_tokenizer):
    model, tokenizer = with_tokenizer
    assert not model.byte_tokens
    ids = tokenizer.encode("the king").ids
    expected = tokenizer.decode(model.generate(
        ids, tokens=12, known=tokenizer.get_vocab_size()).tolist())
    pieces = []
    assert model.generate("the king", tokens=12, on_token=pieces.append) == expected
    assert b"".join(pieces).decode() == expected
    assert model.generate(b"the king", tokens=12) == expected.encode()
    assert model.generate(["the king"], tokens=12) == [expected]


@pytest.mark.parametrize("kind", ["ByteLevel", "Metaspace"])
def test_pieces_are_the_text_and_the_work_for_each_does_not_grow(kind, tmp_path):
    """Characters that are cut into tokens come whole; spaces depend on the token before."""
    from cllm._pieces import Pieces
    from cllm._tokenizer import TextTokenizer

    tokenizers = pytest.importorskip("tokenizers")
    text = "the king \U0001f451 sl\u00e9eps,  \u5317\u4eac speaks. " * 40
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = getattr(tokenizers.pre_tokenizers, kind)()
    made.decoder = getattr(tokenizers.decoders, kind)()
    made.train_from_iterator([text[:60]], tokenizers.trainers.BpeTrainer(
        vocab_size=270, show_progress=False, initial_alphabet=(
            tokenizers.pre_tokenizers.ByteLevel.alphabet() if kind == "ByteLevel" else [])))
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer, lengths, heard = TextTokenizer(str(tmp_path)), [], []
    decode = tokenizer.decode
    tokenizer.decode = lambda ids: lengths.append(len(ids)) or decode(ids)
    pieces = Pieces(tokenizer, heard.append, [])
    ids = tokenizer.encode(text)
    for token in ids:
        assert pieces.add(token)
    assert max(lengths) < 12 and len(heard) > 200
    assert pieces.finish(ids).decode() == b"".join(heard).decode() == decode(ids)
    assert all(piece.decode() for piece in heard)


def test_bytes_that_are_no_utf_8_are_taken_by_every_model(model, with_tokenizer):
    wrote = model.generate(b"\xff", tokens=30)
    assert isinstance(wrote, bytes) and model.generate("a", tokens=30).encode()
    other, _ = with_tokenizer
    raw = b"the king\xff sleeps\n" + wrote
    for data in (raw, [raw, "the king"]):
        assert other.evaluate(data).val_loss > 0 and model.evaluate(data).val_loss > 0
    assert isinstance(other.generate(raw, tokens=3), bytes)
    assert other.evaluate(raw).bits_per_byte == pytest.approx(
        other.evaluate(raw).val_loss * (other.evaluate(raw).val_tokens + 1) / math.log(2)
        / len(raw))


def test_evaluation_of_a_text_counts_its_bytes(with_tokenizer):
    model, tokenizer = with_tokenizer
    text = "the king sleeps\nor a queen speaks"
    ids = tokenizer.encode(text).ids
    report = model.evaluate(text)
    assert report.val_loss == model.evaluate(ids).val_loss
    assert report.bits_per_byte == pytest.approx(
        report.val_loss * len(ids) / math.log(2) / len(text.encode()))
    assert model.evaluate([text, text]).val_tokens == 2 * (len(ids) + 1) - 1
