"""`cllm prepare --chat --out`: a data set of examples, of which the answers are trained."""

import json

import numpy
import pytest
from conftest import contents, needs

pytestmark = needs("cllm", "jinja2", "tokenizers", "typer", "rich")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
pytest.importorskip("rich")
from chat_models import command, model_of, said, template_of, write_lines  # noqa: E402
from cllm.chat import data_set, open_chats, prepare_chats  # noqa: E402
from cllm.prepare import prepare, store  # noqa: E402
from cllm.token_files import DataSet, open_tokens  # noqa: E402
from power_cut import PowerCut, ending_at  # noqa: E402


def talks(first, last):
    return [{"messages": said(f"what is {n} ?", f"the capital {n * n} .")}
            for n in range(first, last)]


@pytest.fixture
def model(tmp_path):
    return model_of(tmp_path / "model", "smollm")


@pytest.fixture
def data(tmp_path):
    return write_lines(tmp_path / "talks.jsonl", *talks(0, 40))


def pairs(examples):
    return [(tuple(map(int, ids)), tuple(map(bool, trained))) for ids, trained in examples]


def encoded(data, model, **settings):
    """The examples of a file, the first token of each untrained: it is predicted from nothing."""
    found = []
    for example in open_chats(data, model, **settings).train:
        trained = example.trained.copy()
        trained[0] = False
        found.append((example.ids, trained))
    return pairs(found)


def test_a_data_set_holds_every_example_and_what_is_trained_of_it(tmp_path, model, data,
                                                                  monkeypatch):
    monkeypatch.setattr(store, "SHARD", 300)  # several files, in which examples go on
    made = prepare_chats(data, tmp_path / "set", model=model, progress=False)
    found = DataSet(tmp_path / "set", verify=True)
    assert found.has_examples and len(found.files("train")) > 2
    wanted = encoded(data, model)
    train, val = pairs(found.examples("train")), pairs(found.examples("val"))
    assert val == wanted[9::10]
    assert train == [one for i, one in enumerate(wanted) if i % 10 != 9]
    assert made["train"]["documents"] == 36 and made["val"]["documents"] == 4
    assert made["train"]["trained_tokens"] == sum(sum(trained) for _, trained in train)
    assert made["version"] == 2 and made["train"]["text_bytes"] == 0
    read = made["examples"]["read"]["train"]
    assert (read["examples"], read["kept"], read["cut"], read["dropped"]) == (40, 40, 0, {})
    # Every document begins with a mark, and no other token has one.
    marks = numpy.concatenate([open_tokens(tmp_path / "set" / file["marks"])
                               for file in made["train"]["files"]])
    assert numpy.array_equal(numpy.flatnonzero(marks & 2), found.document_starts("train"))
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert (tmp_path / "set" / name).read_bytes() == (model / name).read_bytes()


def test_the_same_examples_give_the_same_bytes(tmp_path, model, data):
    for name in "ab":
        prepare_chats(data, tmp_path / name, model=model, progress=False)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not (tmp_path / "a/.prepare").exists()


def test_a_folder_brings_its_validation_files_and_none_trains(tmp_path, model):
    folder = tmp_path / "data"
    folder.mkdir()
    write_lines(folder / "train.jsonl", *talks(0, 20), *talks(3, 5))
    write_lines(folder / "valid.jsonl", *talks(18, 25))
    made = prepare_chats(folder, tmp_path / "set", model=model, progress=False)
    assert made["train"]["documents"] == 20 and made["val"]["documents"] == 7
    assert made["examples"]["left_out"] == 2
    assert set(made["examples"]["read"]) == {"train", "val"}
    write_lines(folder / "train.jsonl", *talks(18, 25))
    with pytest.raises(cllm.InputError, match="every example stands in the validation files too"):
        prepare_chats(folder, tmp_path / "other", model=model, progress=False)
    assert not (tmp_path / "other").exists()


def test_what_is_the_same_is_in_one_part(tmp_path, model):
    file = write_lines(tmp_path / "a.jsonl", *talks(0, 20), *talks(0, 20), *talks(0, 20))
    prepare_chats(file, tmp_path / "set", model=model, val_fraction=0.25, progress=False)
    found = DataSet(tmp_path / "set")
    train, val = pairs(found.examples("train")), pairs(found.examples("val"))
    assert len(train) == 45 and len(val) == 15 and not set(train) & set(val)
    prepare_chats(file, tmp_path / "all", model=model, val_fraction=0, progress=False)
    assert DataSet(tmp_path / "all").description["val"]["files"] == []


def test_counts_are_of_what_was_read(tmp_path, model):
    records = [*talks(0, 9), {"messages": said("q", "")}, {"messages": said("q", "x" * 90)},
               {"messages": said("q " * 80, "late")}]
    file = write_lines(tmp_path / "a.jsonl", *records)
    made = prepare_chats(file, tmp_path / "set", model=model, max_length=60, progress=False)
    read = made["examples"]["read"]["train"]
    assert (read["examples"], read["kept"], read["cut"]) == (12, 10, 1)
    assert read["dropped"] == {"with an empty answer": 1, "too long to reach an answer": 1}
    assert read["cut_tokens"] > 0 and made["examples"]["length"] == 60
    assert max(len(tokens) for tokens, _ in DataSet(tmp_path / "set").examples("val")) == 60


def test_another_template_goes_with_the_data(tmp_path, model, data):
    (tmp_path / "marked.jinja").write_text(template_of("smollm", marked=True))
    prepare_chats(data, tmp_path / "set", model=model, chat_template=tmp_path / "marked.jinja",
                  progress=False)
    assert (tmp_path / "set/chat_template.jinja").read_text() == template_of("smollm", marked=True)


# -- what others may find there -------------------------------------------------------------------

def test_a_work_that_is_cut_anywhere_leaves_no_half_and_gives_the_same_files(tmp_path, model):
    data = write_lines(tmp_path / "talks.jsonl", *talks(0, 12))
    with ending_at(0) as seen:
        prepare_chats(data, tmp_path / "whole", model=model, progress=False)
    wanted = contents(tmp_path / "whole")
    for number in range(1, len(seen) + 1):
        out = tmp_path / f"set{number}"
        with ending_at(number), pytest.raises(PowerCut):
            prepare_chats(data, out, model=model, progress=False)
        if (out / "dataset.json").exists():
            assert contents(out) == wanted
        try:
            prepare_chats(data, out, model=model, progress=False)
        except cllm.InputError as error:
            assert "already holds a data set" in str(error)
        assert contents(out) == wanted, number


def test_what_another_command_left_is_not_taken(tmp_path, model, data):
    with ending_at(30), pytest.raises(PowerCut):
        prepare_chats(data, tmp_path / "set", model=model, progress=False)
    for again in (lambda **more: prepare_chats(data, tmp_path / "set", model=model, progress=False,
                                               max_length=50, **more),
                  lambda **more: prepare(data, tmp_path / "set", processes=1, field="messages",
                                         **more)):
        with pytest.raises(cllm.InputError, match="unfinished data set of other settings"):
            again()
    prepare_chats(data, tmp_path / "set", model=model, progress=False, max_length=50, force=True)
    assert DataSet(tmp_path / "set").description["examples"]["length"] == 50
    with pytest.raises(cllm.InputError, match="already holds a data set"):
        prepare_chats(data, tmp_path / "set", model=model, progress=False)
    before = contents(tmp_path / "set")
    with ending_at(30), pytest.raises(PowerCut):
        prepare_chats(data, tmp_path / "set", model=model, progress=False, force=True)
    assert contents(tmp_path / "set") == before, "the old one stays until the new one is whole"


@pytest.mark.parametrize("text, pattern", [
    ("{", "line 1"), ('{"messages": []}\n', "nothing to train on"), ("", "no examples")])
def test_bad_examples_leave_nothing(text, pattern, tmp_path, model, data):
    data.write_text(text)
    with pytest.raises(cllm.InputError, match=pattern):
        prepare_chats(data, tmp_path / "set", model=model, progress=False)
    assert not (tmp_path / "set").exists()


def test_a_part_that_validates_is_no_whole(tmp_path, model, data):
    for fraction in (1, -0.1, float("nan")):
        with pytest.raises(cllm.InputError, match="val_fraction"):
            prepare_chats(data, tmp_path / "set", model=model, val_fraction=fraction)


def test_an_input_that_changes_is_noticed(tmp_path, model, data, monkeypatch):
    real = data_set.Choice.part_of

    def changing(self, example):
        with data.open("a") as file:
            file.write(json.dumps(talks(50, 51)[0]) + "\n")
        monkeypatch.setattr(data_set.Choice, "part_of", real)
        return real(self, example)

    monkeypatch.setattr(data_set.Choice, "part_of", changing)
    with pytest.raises(cllm.InputError, match="changed since it was first read"):
        prepare_chats(data, tmp_path / "set", model=model, progress=False)
    assert not (tmp_path / "set").exists()


def test_the_command_makes_and_says_it(tmp_path, model, data):
    code, out, err = command("prepare", data.name, "--chat", "--model", "model", "--out", "set",
                             "--show", 1, folder=tmp_path)
    assert code == 0, err
    assert "talks.jsonl: line 1: " in out and "talks.jsonl: line 2: " not in out
    assert "read: 40 of 40 examples, " in out
    made = DataSet(tmp_path / "set").description
    assert (f"set: 36 examples of {made['train']['tokens']:,} tokens to train, "
            f"{made['train']['trained_tokens']:,} of them trained; 4 of "
            f"{made['val']['tokens']:,} tokens to validate") in out
    assert "train   cllm train --data set --init model --out run" in err
    code, out, err = command("prepare", data.name, "--chat", "--model", "model", "--out", "set",
                             "--quiet", folder=tmp_path)
    assert (code, out) == (2, "") and "already holds a data set" in err
    code, out, err = command("prepare", data.name, "--chat", "--model", "model", "--force",
                             folder=tmp_path)
    assert code == 2 and "--force: is for a data set" in err


# -- training -------------------------------------------------------------------------------------

def test_training_learns_the_answers_and_resumes_exactly(tmp_path, model, data):
    prepare_chats(data, tmp_path / "set", model=model, progress=False)
    config = {"data": tmp_path / "set", "layers": 1, "heads": 2, "dim": 16, "batch": 4,
              "steps": 30, "save_every": 15, "eval_every": 15, "lr": 1e-2, "workers": 2,
              "quiet": True}
    trainer = cllm.Trainer(cllm.TrainConfig(out=tmp_path / "run", **config))
    before = trainer.evaluate().val_loss
    losses = []
    trainer.run(on_step=lambda report: losses.append(report.loss))
    assert losses[-1] < losses[0] - 0.5
    after = trainer.evaluate()
    assert after.val_loss < before - 0.5 and after.bits_per_byte is None
    assert after.val_tokens_total == DataSet(tmp_path / "set").description["val"]["trained_tokens"]
    final = tmp_path / "run/final"
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert (final / name).read_bytes() == (model / name).read_bytes()
    again = cllm.Trainer(cllm.TrainConfig(resume=tmp_path / "run/checkpoints/step-00000015",
                                          out=tmp_path / "again"))
    again.run()
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (tmp_path / "again/final" / name).read_bytes() == (final / name).read_bytes()
    # A model that exists goes on, with the template of the data.
    tuned = cllm.Trainer(cllm.TrainConfig(**config | {"init": final, "out": tmp_path / "tuned",
                                                      "steps": 2}))
    assert abs(tuned.evaluate().val_loss - after.val_loss) < 1e-5
    assert abs(cllm.Model.load(final).evaluate(tmp_path / "set").val_loss - after.val_loss) < 1e-5
