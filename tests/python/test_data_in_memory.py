"""Data that is in memory trains as a file does: texts, documents, ids."""

import pathlib

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy")
np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")


@pytest.fixture
def small(settings):
    """Settings without data and folder."""
    return {key: value for key, value in settings.items() if key not in ("data", "out")}


def trained(small, **more):
    trainer = cllm.Trainer(cllm.TrainConfig(**small | more))
    trainer.run()
    return trainer


def test_a_text_trains_as_its_file_does(small, text_file):
    text = text_file.read_text()
    assert trained(small, data=text).weights_hash() == trained(small, data=text_file).weights_hash()
    assert trained(small, data=text.encode()).weights_hash() == \
        trained(small, data=text_file).weights_hash()


def test_a_validation_text_counts(small, text_file):
    text = text_file.read_text()
    trainer = trained(small, data=text, val="the king speaks\n" * 30)
    assert trainer.evaluate().val_loss != trained(small, data=text).evaluate().val_loss
    notes = []
    cllm.Trainer(cllm.TrainConfig(**small, data=text, val=text)).run(on_note=notes.append)
    assert any("training data itself" in note for note in notes)


def test_texts_are_documents_with_an_end_each(small):
    texts = ["the king speaks. " * 9, "Zoë sleeps. " * 9, ""]
    ids = [token for text in texts for token in (*text.encode(), 256)]
    by_text, by_id = trained(small, data=texts), trained(small, data=ids, vocab=257)
    assert by_text.weights_hash() == by_id.weights_hash()
    assert trained(small, data=tuple(texts)).weights_hash() == by_text.weights_hash()
    assert trained(small, data=iter(texts)).weights_hash() == by_text.weights_hash()
    assert by_text.evaluate().bits_per_byte and by_id.evaluate().bits_per_byte is None


@pytest.mark.parametrize("kind", ["uint8", "int64", ">i4", "list", "generator", "series"])
def test_ids_of_every_form_train_alike(small, kind):
    ids = np.random.default_rng(2).integers(0, 90, 3000)
    ids[7] = 89
    data = {"list": ids.tolist(), "generator": (int(i) for i in ids),
            "series": type("Series", (), {"__array__": lambda self, dtype=None, copy=None: ids})(),
            }.get(kind)
    trainer = trained(small, data=ids.astype(kind) if data is None else data)
    assert trainer.model_config.vocab == 90
    assert trainer.weights_hash() == trained(small, data=ids.astype("int32")).weights_hash()


def test_rows_of_ids_follow_each_other(small):
    ids = np.arange(3000).reshape(30, 100) % 90
    wanted = trained(small, data=ids.ravel()).weights_hash()
    rows = ids.tolist()
    ragged = [rows[0] + rows[1][:40], [], rows[1][40:], *rows[2:]]
    for data in (ids, rows, tuple(map(tuple, rows)), ragged, list(ids), (row for row in rows),
                 [iter(row) for row in rows], np.array(ragged, dtype=object)):
        assert trained(small, data=data).weights_hash() == wanted


def test_a_bytearray_is_bytes(small):
    text = b"the king speaks\n" * 30
    wanted = trained(small, data=text).weights_hash()
    assert trained(small, data=bytearray(text)).weights_hash() == wanted
    documents = [text, b"a queen sleeps"]
    assert trained(small, data=list(map(bytearray, documents))).weights_hash() == \
        trained(small, data=documents).weights_hash()


def test_documents_may_be_bytes_that_are_no_utf_8(small):
    documents = [b"the king\xff speaks " * 30, b"a queen sleeps"]
    config = cllm.TrainConfig(**small, data=documents)
    assert config.data == [documents[0], "a queen sleeps"]
    ids = [token for text in documents for token in (*text, 256)]
    assert trained(small, data=documents).weights_hash() == \
        trained(small, data=ids, vocab=257).weights_hash()


def test_ids_may_have_a_larger_vocabulary(small):
    assert trained(small, data=range(60), vocab=100).model_config.vocab == 100
    with pytest.raises(cllm.InputError, match="59"):
        cllm.Trainer(cllm.TrainConfig(**small, data=range(60), vocab=59))


def test_a_resumed_run_asks_for_the_same_data(small, tmp_path, text_file):
    text = text_file.read_text()
    whole = trained(small, data=text)
    out = tmp_path / "run"
    first = cllm.Trainer(cllm.TrainConfig(**small, data=text, out=out))
    first.run(on_step=lambda report: report.step < 8 or first.request_stop())
    with pytest.raises(cllm.InputError, match=r"data in memory.*give the same data again"):
        cllm.Trainer(cllm.TrainConfig(resume=out))
    with pytest.raises(cllm.InputError, match="not what the run was trained on"):
        cllm.Trainer(cllm.TrainConfig(resume=out, data=text[:-1]))
    for data in (text, text_file):  # the same bytes
        resumed = cllm.Trainer(cllm.TrainConfig(resume=out, data=data))
        assert resumed.steps_done == 8
    resumed.run()
    assert resumed.weights_hash() == whole.weights_hash()


def test_what_is_a_path_and_what_is_a_text(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    strange = pathlib.Path("two\nlines.txt")
    strange.write_text("the king speaks " * 40)
    pathlib.Path("words").write_text("the king speaks " * 40)
    wanted = trained(small, data="words").weights_hash()
    assert trained(small, data=strange).weights_hash() == wanted
    assert trained(small, data="the king speaks " * 40).weights_hash() == wanted, "not a path"
    assert cllm.TrainConfig(data="no/such/file").data == "no/such/file"
    with pytest.raises(cllm.InputError, match=r"no such file .*a text of one line .*\[text\]"):
        cllm.Trainer(cllm.TrainConfig(**small, data="To be or not to be"))


def test_a_path_that_is_too_long_gives_a_short_error(small):
    for wrong in ({"data": pathlib.Path("x" * 100_000)}, {"data": "a\n", "init": "x" * 100_000},
                  {"data": "a\nb\n", "out": "x" * 100_000}):
        with pytest.raises(cllm.InputError) as caught:
            cllm.Trainer(cllm.TrainConfig(**small | wrong))
        assert len(str(caught.value)) < 800


class Table:
    """A table like those of the package datasets, of which nobody wants every row in memory."""

    column_names = ("text",)

    def __iter__(self):
        raise AssertionError("read")


def test_a_table_is_refused_before_its_rows_are_read():
    with pytest.raises(cllm.InputError, match=r'not data: got a Table, .*such as data\["text"\]'):
        cllm.TrainConfig(data=Table())


@pytest.mark.parametrize("data, part", [
    (3, "not data"), (None, "not data"), ([], "no tokens"), ([""][:0], "no tokens"),
    (["a", 3], r"data\[1\]"), ([3, "a"], "not an array|not integers"), ([-1, 2], "negative"),
    ([1.5], "not integers"), (np.zeros((2, 2, 2), int), "dimensions"),
    ([[1, 2], 3], r"data\[1\]: not a row"), ([[1], ["a"]], r"data\[1\]"),
    ([[]], "no token"), (b"", "empty text"),
    ([2**40], str(2**40)), ("\ud800\n", "surrogates"),
])
def test_what_is_no_data_is_refused(data, part):
    with pytest.raises(cllm.InputError, match=part):
        cllm.TrainConfig(data=data)
    config = cllm.TrainConfig()
    with pytest.raises(cllm.InputError):
        config.val = data
    assert config == cllm.TrainConfig()


def test_what_would_give_something_else_than_its_contents_is_refused(small, tmp_path):
    (tmp_path / "a.txt").write_text("some words\n")
    with open(tmp_path / "a.txt") as file:
        for wrong, hint in (({"text": ["one", "two"]}, r'such as data\["text"\]'),
                            ({"input_ids": [[1, 2], [3]]}, r'such as data\["input_ids"\]'),
                            ([{"text": "one"}], r'such as \[row\["text"\] for row in data\]'),
                            ({"one text", "another"}, "a set has no order"),
                            (file, r"what read\(\) returns"),
                            ([str(tmp_path / "a.txt")], "names of files")):
            with pytest.raises(cllm.InputError, match=hint):
                cllm.TrainConfig(**small, data=wrong)
