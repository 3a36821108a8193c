"""`cllm finetune` where a run, a model or the examples are not where or what they were, and where
another command prepares the same examples."""

import importlib
import json
import os
import re
import shutil
import signal
import struct

import pytest
from conftest import contents, needs

pytestmark = needs("cllm", "jinja2", "tokenizers", "typer", "rich")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
from chat_models import model_of, parrot, said, write_lines  # noqa: E402
from cllm import _cllm  # noqa: E402
from cllm.chat import open_chats, write_chats  # noqa: E402
from cllm.prepare.folder import Folder  # noqa: E402
from cllm.prepare.tokenizers import newest_model  # noqa: E402

EXAMPLES = [{"messages": said(f"what is {i} ?", "Paris .")} for i in range(12)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return parrot(tmp_path_factory.mktemp("again") / "model", None, context=60)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder in which commands are given, with examples and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_lines(tmp_path / "examples.jsonl", *EXAMPLES)
    return tmp_path


def finetune(*words, code=0):
    """What the command says."""
    from cllm import cli
    from typer.testing import CliRunner

    result = CliRunner().invoke(cli.app, ["finetune", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def trained(monkeypatch):
    """The options of each run that would have begun: none does."""
    found = []
    run = importlib.import_module("cllm.finetune.run")
    monkeypatch.setattr(run, "_train", lambda options, *_: found.append(dict(options)))
    return found


def step(run, number, *files):
    folder = run / f"checkpoints/step-{number:08}"
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_text("{}")
    return folder


# -- runs ---------------------------------------------------------------------------------------

def test_models_are_found_where_a_copy_has_lost_the_link(tmp_path):
    from cllm._merge_command import CONFIG, check_adapter
    from cllm.finetune.record import has_checkpoint

    assert not has_checkpoint(tmp_path) and newest_model(tmp_path) == tmp_path
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/latest").symlink_to("step-00000030")  # which is gone
    (tmp_path / "checkpoints/step-x").mkdir()
    assert not has_checkpoint(tmp_path)
    with pytest.raises(cllm.InputError, match="ADAPTER: no adapter"):
        check_adapter(tmp_path, "ADAPTER")
    step(tmp_path, 9, "tokenizer.json", CONFIG)
    newest = step(tmp_path, 10, "tokenizer.json")
    assert has_checkpoint(tmp_path) and newest_model(tmp_path) == newest
    check_adapter(tmp_path, "ADAPTER")


def test_a_run_goes_on_without_its_link_its_examples_and_the_version_that_made_them(
        model, place, monkeypatch):
    words = ["--steps", "4", "--save-every", "2", "--workers", "1", "--samples", "1"]
    finetune(model, "--data", "examples.jsonl", "--out", "run", *words)
    shutil.rmtree("run/final")
    (place / "run/checkpoints/latest").unlink()
    kept = place / "run/checkpoints/step-00000004/model.safetensors"
    before = kept.stat().st_ino
    (place / "examples.jsonl").unlink()
    monkeypatch.setattr(cllm, "__version__", "0.0.0")
    output = finetune(model, "--data", "examples.jsonl", "--out", "run", *words)
    assert "examples.jsonl is gone, or not as it was: the run goes on with" in output
    assert kept.stat().st_ino == before, "it did not begin anew"
    # The run is a model to start from.
    write_lines(place / "others.jsonl", *EXAMPLES[::-1])
    output = finetune("run", "--data", "others.jsonl", "--out", "second", *words)
    assert "  asked   " in output


def test_examples_are_prepared_again_where_the_cache_was_emptied(model, place, trained):
    from cllm.finetune.data import Asked, prepared_again

    asked = Asked(str(place / "examples.jsonl"), str(model))
    folder = prepared_again(asked, "", place / "run", progress=False)
    assert prepared_again(asked, str(folder), place / "run", progress=False) == folder
    shutil.rmtree(place / "cache")
    assert prepared_again(asked, str(folder), place / "run", progress=False) == folder
    assert (folder / "dataset.json").is_file()
    shutil.rmtree(place / "cache")
    (place / "examples.jsonl").unlink()
    with pytest.raises(cllm.InputError, match=r"/run: its examples are to be prepared again, and "
                                              r"cannot be: .*examples\.jsonl: cannot be read"):
        prepared_again(asked, str(folder), place / "run", progress=False)


def test_a_run_that_goes_on_asks_what_it_asked(model, place):
    words = [model, "--data", "examples.jsonl", "--out", "run", "--steps", "1", "--workers", "1"]
    finetune(*words, "--samples", "1")
    before = contents(place / "run")
    for way in (words, ["--resume", "run"]):
        for other, got in ((["--samples", "2"], "--samples 2"),
                           (["--sample-prompt", "what ?"], "--sample-prompt 'what ?'")):
            output = finetune(*way, *other, code=2)
            assert (f"run: the run asks the same questions to its end: got {got}, expected "
                    "--samples 1, or neither option") in output and output.count("\n") == 1
    assert contents(place / "run") == before
    for same in ([], ["--samples", "1"]):
        finetune(*words, *same)
    assert json.loads((place / "run/finetune.json").read_text())["samples"] == 1


def test_answers_that_a_stop_cut_are_given_when_the_run_goes_on(model, place):
    finetune(model, "--data", "examples.jsonl", "--out", "run", "--workers", "1", "--steps", "2",
             "--eval-every", "2", "--val-fraction", "0.5")
    samples = place / "run/samples.jsonl"
    lines = samples.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["step"] for line in lines] == [0, 0, 2, 2]
    for left in (2, 3):
        samples.write_bytes(b"".join(lines[:left]))
        assert "  answer  " in finetune("--resume", "run")
        assert samples.read_bytes() == b"".join(lines)
    assert "  answer  " not in finetune("--resume", "run")


def test_questions_of_the_user_are_asked_to_the_end(tmp_path):
    from cllm.finetune.data import Asked
    from cllm.finetune.record import Record
    from cllm.finetune.samples import Prompt

    def is_same(samples, *typed):
        record = Record(Asked("a", "b"), {}, [Prompt("one"), Prompt(said("two"))], "", samples)
        try:
            record.check_same_questions(tmp_path, *typed)
        except cllm.InputError:
            return False
        return True

    assert is_same(0, ["one", "two"], None) and is_same(0, ["one", "two"], 3)
    assert is_same(0, [], None) and not is_same(0, ["one"], None) and not is_same(0, [], 2)
    assert is_same(2, [], 2) and not is_same(2, ["one", "two"], 2) and not is_same(2, [], 0)
    assert is_same(None, [], 5) and is_same(None, ["one", "two"], 5), "of an older version"
    assert not is_same(None, ["two"], None)


@pytest.mark.parametrize("kind", ["--lora", "--full"])
@pytest.mark.parametrize("same_command", [True, False])
def test_a_run_goes_on_where_its_model_is_elsewhere(kind, same_command, model, place):
    words = ["--data", "examples.jsonl", "--out", "run", kind, "--workers", "1", "--samples", "1"]
    way = words if same_command else ["--resume", "run"]
    shutil.copytree(model, "old")
    parrot(place / "another", "12", context=60)
    finetune("old", *words, "--steps", "2")
    if same_command:
        output = finetune(model, *way, "--steps", "4", code=2)
        assert "run: holds another fine-tuning: got MODEL " in output
    else:
        output = finetune(model, *way, "--steps", "4", code=2)
        assert f"MODEL: a run that goes on has one: got {model}, expected --resume w" in output
    shutil.move("old", "new")
    if kind == "--lora":
        output = finetune("--resume", "run", "--steps", "4", code=2)
        assert re.search(r"run: its model is gone: got .*/old, expected the same weights, wherever "
                         r"they are: cllm finetune MODEL --resume run$", output.strip())
        before = (place / "run/finetune.json").read_bytes()
        output = finetune("another", *way, "--steps", "4", code=2)
        assert "MODEL says where that model is now" in output and "--init" not in output
        assert (place / "run/finetune.json").read_bytes() == before
    else:
        shutil.rmtree("cache")
        assert "  answer  " in finetune("--resume", "run", "--steps", "3")
    assert "  answer  " in finetune("new", *way, "--steps", "4")
    assert json.loads((place / "run/finetune.json").read_text())["asked"]["model"] == str(
        place / "new")
    assert "  answer  " in finetune("--resume", "run", "--steps", "5")
    shutil.rmtree("run/final")
    shutil.rmtree("run/checkpoints")
    shutil.move("new", "newer")
    assert "expected the same weights, where they were" in finetune("--resume", "run", code=2)


# -- models -------------------------------------------------------------------------------------

def test_what_is_no_model_to_start_from_is_refused_before_examples_are_read(model, place, trained):
    shutil.copytree(model, place / "lists")
    (place / "lists/tokenizer.json").rename(place / "lists/vocab.json")
    (place / "lists/merges.txt").write_text("")
    step(place / "lora", 5, "adapter_config.json", "tokenizer.json")
    (place / "peft").mkdir()
    (place / "peft/adapter_config.json").write_text("{}")
    for name, wanted in (
            ("lists", r"a tokenizer in its old form: got .*/lists with vocab\.json, expected "),
            ("lora", r"an adapter, not a model: got .*/lora, .*cllm merge .*--lora-init "),
            ("peft", "an adapter, not a model"),
            ("modle", r"no such folder: got .*/modle, expected the folder of a model"),
            ("examples.jsonl", "a file in place of a folder: got "),
            ("Owner/Model-1.5B", r"no such folder: got Owner/Model-1\.5B, .* of the Hub: expected "
                                 r"it downloaded: hf download Owner/Model-1\.5B ")):
        output = finetune(name, "--data", "examples.jsonl", "--out", "new", code=2)
        assert re.search(wanted, output) and output.count("\n") == 1, output
    assert not trained and not (place / "cache").exists()


def test_weights_are_counted_in_the_files_that_the_index_names(tmp_path):
    from cllm.finetune.weights import INDEX, parameters_of

    def index(**files):
        (tmp_path / INDEX).write_text(json.dumps({"weight_map": files}))

    for name, shape in (("a.safetensors", [3, 4]), ("pytorch-2.safetensors", [5]),
                        ("model-of-another.safetensors", [100])):
        header = json.dumps({"weight": {"shape": shape}}).encode()
        (tmp_path / name).write_bytes(struct.pack("<Q", len(header)) + header)
    index(first="a.safetensors", second="pytorch-2.safetensors", third="a.safetensors")
    assert parameters_of(tmp_path) == 17
    for name in ("../a.safetensors", "..", "", str(tmp_path / "a.safetensors"), 1, ["a"]):
        index(first=name)
        with pytest.raises(cllm.InputError, match="no file with weights: got "):
            parameters_of(tmp_path)
    index(first="gone.safetensors")
    with pytest.raises(cllm.InputError, match=r"gone\.safetensors: no such file"):
        parameters_of(tmp_path)
    for text, wanted in (("{", "no JSON"), ("[]", "no index of weights"),
                         ('{"weight_map": {}}', "no index"), ('{"weight_map": []}', "no index")):
        (tmp_path / INDEX).write_text(text)
        with pytest.raises(cllm.InputError, match=wanted):
            parameters_of(tmp_path)


# -- what is said and chosen --------------------------------------------------------------------

def test_the_first_example_that_the_template_refuses_is_named(model, place, trained):
    shutil.copytree(model, place / "strict")
    template = place / "strict/chat_template.jinja"
    template.write_text("{% for m in messages %}{% if 'hello' in m.content %}"
                        "{{ raise_exception('no greetings') }}{% endif %}{% endfor %}"
                        + template.read_text())
    greeting = {"messages": said("hello", "Paris .")}
    write_lines(place / "examples.jsonl", *EXAMPLES, greeting, greeting)
    wanted = "dropped 2 examples that the template refuses (first: "
    for _ in range(2):  # the second time it is prepared
        output = finetune("strict", "--data", "examples.jsonl", "--out", "new")
        line = next(line for line in output.split("\n") if line.startswith(wanted))
        assert "examples.jsonl: line 13: " in line and "no greetings" in line


def test_auto_is_as_not_given(model, place, trained):
    words = [model, "--data", "examples.jsonl", "--out", "new"]
    finetune(*words)
    finetune(*words, "--seq", "auto", "--epochs", "auto", "--batch", "auto", "--lr", "auto",
             "--steps", "auto")
    assert trained[0] == trained[1] and trained[0]["seq"].isdecimal()


def test_what_was_chosen_may_be_given_to_go_on(tmp_path):
    from cllm.finetune.data import Asked
    from cllm.finetune.record import Record

    def refused(before, now):
        with pytest.raises(cllm.InputError) as error:
            Record(before, {"seq": "106"}, [], "").check_same(tmp_path, now)
        return str(error.value).partition("fine-tuning: ")[2].partition(";")[0]

    asked, words = Asked("a", "b"), _cllm.set_command_line_words(True)
    try:
        for length in (None, 106):
            Record(asked, {"seq": "106"}, [], "").check_same(tmp_path, Asked("a", "b",
                                                                             length=length))
        assert refused(asked, Asked("a", "b", length=105)) == (
            "got --seq 105, expected --seq 106 to go on with it")
        assert refused(Asked("a", "b", length=106), asked) == (
            "got no --seq, expected --seq 106 to go on with it")
        assert refused(asked, Asked("a", "b", full=True)) == (
            "got --full, expected no --full to go on with it")
    finally:
        _cllm.set_command_line_words(words)


# -- questions ----------------------------------------------------------------------------------

def encoded(chats, fraction, number):
    """How many examples were encoded for so many questions, and how many were found."""
    from cllm.finetune.data import prompts_of

    seen, real = [], chats.encoder.encode
    chats.encoder.encode = lambda example, where: seen.append(where) or real(example, where)
    found = prompts_of(chats, fraction, number)
    return len(seen), len(found)


def test_the_search_for_questions_ends(tmp_path):
    made = model_of(tmp_path / "model", "smollm")

    def chats(*records):
        return open_chats(write_lines(tmp_path / "a.jsonl", *records), made)

    assert encoded(chats(*({"text": f"what {i}"} for i in range(30))), 0.5, 2) == (0, 0)
    assert encoded(chats(*EXAMPLES), 0, 2) == (0, 0)
    assert encoded(chats(*EXAMPLES), 0.5, 2) == (4, 2)
    answers = [{"messages": [{"role": "system", "content": f"{i}"},
                             {"role": "assistant", "content": "Paris"}]} for i in range(300)]
    assert encoded(chats(*answers), 0.5, 1) == (200, 0)


# -- two commands at once -----------------------------------------------------------------------

@pytest.fixture
def two(model, place):
    """Examples, their folder in the cache, in which another one works, and the set it makes."""
    from cllm.finetune.data import Asked, prepared

    asked = Asked(str(place / "examples.jsonl"), str(model))
    folder, _ = prepared(asked, asked.open(), progress=False)
    made = folder.rename(place / "made")
    with Folder(folder, force=True) as other:
        yield asked, other, made


def test_the_second_waits_and_takes_what_the_first_made(two, monkeypatch, capsys):
    from cllm.finetune import data

    asked, other, made = two
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            for path in made.iterdir():
                os.link(path, other.out / path.name)
            other.remove()
            other.__exit__(None, None, None)

    monkeypatch.setattr(data.time, "sleep", sleep)
    folder, content = data.prepared(asked, asked.open(), progress=True)
    assert folder == other.out and content["train"]["documents"] == 11 and len(pauses) == 3
    assert all((folder / path.name).samefile(path) for path in made.iterdir()), "made again"
    assert not (folder / ".prepare").exists()
    said_then = capsys.readouterr().err
    assert said_then.count("another command prepares these examples: waiting for it") == 1


def test_where_the_first_fails_the_second_makes_it(two, monkeypatch):
    from cllm.finetune import data

    asked, other, made = two
    monkeypatch.setattr(data.time, "sleep", lambda seconds: other.__exit__(None, None, None))
    folder, _ = data.prepared(asked, asked.open(), progress=False)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in made.iterdir())


def test_a_signal_ends_the_wait(two, monkeypatch):
    import typer
    from cllm._prepare_command import stopped_by_signals
    from cllm.finetune import data

    asked, other, _ = two
    monkeypatch.setattr(data.time, "sleep", lambda _: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(typer.Exit) as stopped, stopped_by_signals("begins again"):
        data.prepared(asked, asked.open(), progress=False)
    assert stopped.value.exit_code == 3 and not (other.out / "dataset.json").exists()


def test_a_set_that_appeared_meanwhile_is_not_replaced(two):
    asked, other, made = two
    other.remove()
    other.__exit__(None, None, None)
    made.rename(other.out)
    before = {path.name: path.stat().st_ino for path in other.out.iterdir()}
    write_chats(asked.open(), other.out, force=True, wait=lambda: None)
    assert {path.name: path.stat().st_ino for path in other.out.iterdir()} == before
