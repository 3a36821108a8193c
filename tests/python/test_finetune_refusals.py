"""`cllm finetune` and `cllm chat` with bad input: one error and no run folder, or a count."""

import json

import pytest
from conftest import needs

pytestmark = needs("cllm", "jinja2", "tokenizers", "typer", "rich")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
from chat_models import command, parrot, said, write_lines  # noqa: E402

GOOD = [{"messages": said(f"what is {i} ?", "Paris")} for i in range(12)]
ORDER = {"messages": [*said("q", "a"), {"role": "assistant", "content": "again"}]}
EMPTY = {"messages": said("q", " ")}
LONG = {"messages": said("what is the capital of France ? " * 40, "Paris")}
RAISES = "{% for m in messages %}{{ raise_exception('never') }}{% endfor %}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refusals")
    parrot(folder / "model", "12", context=100)
    parrot(folder / "plain", "12", shape="llama3")
    (folder / "plain/chat_template.jinja").unlink()
    parrot(folder / "raises", "12")
    (folder / "raises/chat_template.jinja").write_text(RAISES)
    parrot(folder / "narrow", "12")
    config = json.loads((folder / "narrow/config.json").read_text())
    (folder / "narrow/config.json").write_text(json.dumps(config | {"vocab_size": 60}))
    for name in ("manifest.json", "generation_config.json"):
        (folder / "narrow" / name).unlink(missing_ok=True)
    parrot(folder / "empty", "12")
    (folder / "empty/model.safetensors").unlink()
    (folder / "text.txt").write_text("a text\n" * 400)
    cllm.Trainer(cllm.TrainConfig(data=folder / "text.txt", out=folder / "bytes", layers=1, heads=1,
                                  dim=8, seq=8, steps=1, workers=1)).run()
    write_lines(folder / "good.jsonl", *GOOD)
    write_lines(folder / "order.jsonl", *[ORDER] * 3)
    write_lines(folder / "answers.jsonl", *[EMPTY] * 3)
    write_lines(folder / "long.jsonl", *[LONG] * 3)
    write_lines(folder / "key.jsonl", GOOD[0], {"message": []})
    write_lines(folder / "role.jsonl", GOOD[0], {"messages": [{"role": "gpt", "content": "a"}]})
    write_lines(folder / "pairs.jsonl", {"chosen": "a", "rejected": "b"})
    (folder / "nothing.jsonl").write_text("")
    (folder / "broken.jsonl").write_text('{"messages": [\n')
    (folder / "other").mkdir()
    (folder / "other/mine.txt").write_text("mine")
    return folder


def finetune(*words, place):
    return command("finetune", *words, folder=place, XDG_CACHE_HOME=str(place / "cache"))


def of(data="good.jsonl", model="model", *words):
    return [model, "--data", data, "--steps", "2", "--workers", "1", *words]


WRONG = {
    # what is asked
    "nothing": ([], "MODEL: missing: expected cllm finetune MODEL --data FILE --out RUN"),
    "no data": (["model", "--out", "new"], "--data: missing"),
    "two ways": (of("good.jsonl", "model", "--full", "--lora"), "--full: all weights, or adapters"),
    "rank of no adapter": (of("good.jsonl", "model", "--full", "--lora-rank", "4"), "--lora-rank"),
    "a rank above the width": (of("good.jsonl", "model", "--lora-rank", "9"),
                               "--lora-rank: no rank of an adapter: got 9, expected 1 to 8"),
    "a target that is not there": (of("good.jsonl", "model", "--lora-targets", "q_proj"), "q_proj"),
    "steps and epochs": (of("good.jsonl", "model", "--epochs", "2"), "--epochs"),
    "a model as an option": (["--model", "model"], "unknown option: got --model (MODEL is given "
                             "without a name, as a value)"),
    "an unknown option": (of("good.jsonl", "model", "--layers", "2"), "--layers"),
    "a short sequence": (of("good.jsonl", "model", "--seq", "1"), "--seq: got 1, expected 2"),
    "a long sequence": (of("good.jsonl", "model", "--seq", "101"), "--seq: got 101, expected 2"),
    "a part above all": (of("good.jsonl", "model", "--val-fraction", "1"), "--val-fraction: got 1"),
    "no number of samples": (of("good.jsonl", "model", "--samples", "-1"), "--samples: out of "),
    "no question": (of("good.jsonl", "model", "--sample-prompt", ""), "--sample-prompt: nothing"),
    "a question too long": (of("good.jsonl", "model", "--sample-prompt", "what is " * 90),
                            "does not fit: got "),
    "a form": (of("good.jsonl", "model", "--format", "chatml"), '--format: got "chatml"'),
    "another form": (of("good.jsonl", "model", "--format", "alpaca"),
                     'line 1 has no "instruction"'),
    "a template": (of("good.jsonl", "model", "--chat-template", "none"),
                   "--chat-template: no such"),
    "an encoding": (of("good.jsonl", "model", "--encoding", "utf-9"), "--encoding: unknown"),
    "a place of others": (of("good.jsonl", "model", "--out", "other"), "other"),
    "a name too long": (of("good.jsonl", "model", "--out", "x" * 256), "File name too long"),
    "a template too long": (of("good.jsonl", "model", "--chat-template", "x" * 256),
                            "File name too long"),
    "a name of a run too long": (["--resume", "x" * 256], "File name too long"),
    "no run": (["--resume", "other"], "--resume: no fine-tuning: got other"),
    "a run with data": (["--data", "good.jsonl", "--resume", "other"],
                         "--data: a run that goes on has one"),
    # models
    "no model": (of("good.jsonl", "nowhere"), "no such folder: got "),
    "a model of bytes": (of("good.jsonl", "bytes"), "bytes/final: no chat template"),
    "no template": (of("good.jsonl", "plain"), "no chat template: got neither"),
    "no weights": (of("good.jsonl", "empty"), "model.safetensors"),
    "a template that raises": (of("good.jsonl", "raises"), "that the template refuses (first: "),
    "tokens past the vocabulary": (of("good.jsonl", "narrow"), "past the model's vocabulary"),
    # data
    "no file": (of("nowhere.jsonl"), "nowhere.jsonl: cannot be read: no such file"),
    "a text": (of("text.txt"), "text.txt: no records: expected one example a line"),
    "an empty file": (of("nothing.jsonl"), "no examples: got an empty file"),
    "no JSON": (of("broken.jsonl"), "line 1 is no JSON"),
    "a missing key": (of("key.jsonl"), 'line 2 has no "messages": got message'),
    "a role": (of("role.jsonl"), 'line 2: message 1: unknown role: got "gpt"'),
    "preferences": (of("pairs.jsonl"), "preferences are not trained on"),
    "roles out of order": (of("order.jsonl"), "3 with roles out of order (first: "),
    "empty answers": (of("answers.jsonl"), "3 with an empty answer"),
    "all too long": (of("long.jsonl"), "3 too long to reach an answer")}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_error_and_no_run(name, place):
    words, wanted = WRONG[name]
    out = [] if {"--out", "--resume"} & {*words} or not words else ["--out", "new"]
    before = sorted(path for path in place.rglob("*") if "cache" not in path.parts)
    code, said_out, err = finetune(*words, *out, place=place)
    lines = err.rstrip("\n").split("\n")
    assert code == 2 and not said_out, err
    assert lines[-1].startswith("cllm: ") and wanted in lines[-1], err
    assert sum(line.startswith("cllm: ") for line in lines) == 1
    assert sorted(path for path in place.rglob("*") if "cache" not in path.parts) == before


def test_some_bad_examples_are_counted_and_the_others_are_learned(place):
    write_lines(place / "mixed.jsonl", *GOOD, ORDER, EMPTY, EMPTY, LONG,
                {"messages": said("what ?", "12 " * 90)})
    code, _, err = finetune(*of("mixed.jsonl"), "--out", "mixed", place=place)
    assert code == 0, err
    assert "dropped 1 example with roles out of order" in err
    assert "dropped 2 examples with an empty answer" in err
    assert "dropped 1 example too long to reach an answer" in err
    assert "note    1 example cut after 100 tokens, which leaves out " in err


def test_another_fine_tuning_is_not_written_over(place):
    write_lines(place / "more.jsonl", *GOOD, *GOOD)
    assert finetune(*of(), "--out", "mine", place=place)[0] == 0
    before = {path: path.read_bytes() for path in (place / "mine").rglob("*") if path.is_file()}
    for words, wanted in ((of("more.jsonl"), "mine: holds another fine-tuning: got --data "),
                          (of("good.jsonl", "raises"), "got MODEL "),
                          ([*of(), "--val-fraction", "0.5"], "got --val-fraction 0.5, expected"),
                          ([*of(), "--lr", "1"], "--lr")):
        code, _, err = finetune(*words, "--out", "mine", place=place)
        assert code == 2 and wanted in err, err
    assert before == {path: path.read_bytes() for path in (place / "mine").rglob("*")
                      if path.is_file()}
    write_lines(place / "good.jsonl", *GOOD[1:], GOOD[0])
    try:
        code, _, err = finetune(*of(), "--out", "mine", place=place)
        assert code == 0 and "good.jsonl is gone, or not as it was: the run goes on" in err, err
    finally:
        write_lines(place / "good.jsonl", *GOOD)


# -- adapters in a conversation -----------------------------------------------------------------

def test_an_adapter_that_is_none_or_of_another_model_is_refused(place):
    assert finetune(*of(), "--lora", "--out", "lora", place=place)[0] == 0
    parrot(place / "wide", "12", dim=16)
    for words, wanted in ((["model", "--adapter", "model"], "--adapter: no adapter: got model, a "
                                                            "whole model"),
                          (["model", "--adapter", "nowhere"], "--adapter: no such folder"),
                          (["wide", "--adapter", "lora"], "lora"),
                          (["lora", "--adapter", "lora"], "another adapter")):
        code, out, err = command("chat", *words, folder=place)
        assert code == 2 and not out and wanted in err and err.count("\n") == 1, err
    for words in (["lora"], ["model", "--adapter", "lora"]):
        code, _, err = command("chat", *words, folder=place)
        assert (code, err) == (0, "")
