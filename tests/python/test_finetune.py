"""`cllm finetune`: what it chooses and says, what a run leaves, and how a run goes on."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, needs

pytestmark = needs("cllm", "jinja2", "tokenizers", "typer", "rich")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
from chat_models import command, parrot, said, write_lines  # noqa: E402

SECONDS = 200
ANSWERS = ("Paris .", "12", "the capital of France", "hello and hello", "user")
STEPS = ("--steps", "12", "--eval-every", "4", "--save-every", "4", "--workers", "1")


def questions(path, number=40):
    return write_lines(path, *({"messages": said(f"what is {i} ?", ANSWERS[i % 5])}
                               for i in range(number)))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, and forty examples."""
    folder = tmp_path_factory.mktemp("finetune")
    parrot(folder / "model", None, context=100, dim=32)
    questions(folder / "questions.jsonl")
    return folder


def finetune(*words, place, **environment):
    return command("finetune", *words, folder=place, XDG_CACHE_HOME=str(place / "cache"),
                   **environment)


def weights(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")
            if path.name != "optimizer.safetensors"}


# -- a run --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def tuned(place):
    """A run with adapters, and what it said."""
    code, out, err = finetune("model", "--data", "questions.jsonl", "--out", "tuned", "--lora",
                              *STEPS, place=place)
    assert (code, out) == (0, ""), err
    return err


def test_a_run_says_what_it_reads_and_chooses(tuned):
    lines = tuned.split("\n")
    assert re.fullmatch(r"data    \S+/questions.jsonl: messages with role and content \(--format "
                        r"says otherwise\)", lines[0])
    assert re.search(r"^        36 examples of [\d,]+ tokens to train, [\d,]+ of them trained; 4 "
                     r"to validate; in \S+/datasets/questions-", tuned, re.MULTILINE)
    chosen = dict(re.findall(r"^chosen  --(\S+) ?(\S*) +\S", tuned, re.MULTILINE))
    assert chosen["lora-rank"] == "16" and chosen["lr"] == "0.001" and "keep-best" in chosen
    assert int(chosen["batch"]) >= 1 and int(chosen["seq"]) <= 1024
    assert "lora" not in chosen and "epochs" not in chosen, "they were given"


def test_it_asks_the_same_questions_at_each_evaluation(tuned, place):
    rows = [json.loads(line) for line in (place / "tuned/samples.jsonl").read_text().split("\n")
            if line]
    assert [row["step"] for row in rows] == [0, 0, 4, 4, 8, 8, 12, 12]
    assert rows[0]["prompt"] == said("what is 9 ?") and rows[1]["prompt"] == said("what is 19 ?")
    assert all(row["prompt"] == rows[i % 2]["prompt"] for i, row in enumerate(rows))
    assert tuned.count("  asked   what is 9 ?\n") == 4 and tuned.count("  answer  ") == 8
    assert "step 0: validation loss " in tuned


def test_its_last_lines_are_commands_that_work(tuned, place):
    last = tuned.rstrip("\n").split("\n")[-3:]
    before, after = re.fullmatch(r"learned validation loss ([\d.]+) before, ([\d.]+) at step \d+, "
                                 r"the lowest", last[0]).groups()
    assert float(after) < float(before)
    chat, merge = (line.split()[1:] for line in last[1:])
    assert chat[:2] == ["cllm", "chat"] and merge[:2] == ["cllm", "merge"]
    done = subprocess.run([sys.executable, "-m", *chat, "--tokens", "4", "--temperature", "0"],
                          input=b"what is 3 ?\n", cwd=place, capture_output=True, check=False,
                          timeout=SECONDS)
    assert done.returncode == 0 and done.stdout.count(b"\n") >= 1
    code, out, err = command(*merge[1:], folder=place)
    assert code == 0 and out.startswith("tuned-merged: gpt2, "), err
    tuned_model, merged = (cllm.Model.load(place / name) for name in (chat[2], "tuned-merged"))
    assert merged.generate([1, 2, 3], tokens=5).tolist() == tuned_model.generate(
        [1, 2, 3], tokens=5).tolist()
    for name in ("chat_template.jinja", "tokenizer.json", "tokenizer_config.json"):
        assert (place / "tuned-merged" / name).read_bytes() == (place / "model" / name).read_bytes()


def test_all_weights_of_a_small_model_are_trained_and_questions_may_be_own(place):
    code, _, err = finetune("model", "--data", "questions.jsonl", "--out", "whole", *STEPS,
                            "--sample-prompt", "hello ?", place=place)
    assert code == 0, err
    assert "chosen  --lr 0.0001 " in err and "--lora" not in err
    assert err.count("  asked   hello ?\n") == 4
    assert "merge   " not in err and re.search(r"^chat    cllm chat whole", err, re.MULTILINE)
    assert cllm.Model.load(place / "whole").num_parameters() > 0
    code, out, err = finetune("model", "--data", "questions.jsonl", "--out", "quiet", "--full",
                              "--quiet", "--samples", "0", *STEPS, place=place)
    assert (code, out, err) == (0, "", "")
    assert not (place / "quiet/samples.jsonl").exists()
    assert weights(place / "quiet/final") == weights(place / "whole/final")


def test_a_folder_with_a_validation_file(place):
    (place / "parts").mkdir()
    questions(place / "parts/train.jsonl", 20)
    write_lines(place / "parts/valid.jsonl", {"messages": said("hello ?", "Paris")})
    code, _, err = finetune("model", "--data", "parts", "--out", "of-parts", *STEPS, place=place)
    assert code == 0, err
    assert "20 examples of " in err and "; 1 to validate; " in err
    assert "  asked   hello ?\n" in err


@pytest.mark.parametrize("form, asked", [("text", []), ("prompt", ["what is 9 ?"])])
def test_examples_of_other_forms(form, asked, place):
    records = [{"text": f"what {i}"} if form == "text" else
               {"prompt": f"what is {i} ?", "completion": " " + ANSWERS[i % 5]} for i in range(20)]
    write_lines(place / f"{form}.jsonl", *records)
    code, _, err = finetune("model", "--data", f"{form}.jsonl", "--out", f"of-{form}", *STEPS,
                            place=place)
    assert code == 0, err
    assert re.findall(r"^  asked   (.*)$", err, re.MULTILINE)[:1] == asked


# -- a run that goes on -------------------------------------------------------------------------

def killed(words, place, run, number=signal.SIGKILL):
    """Ends the command once it has saved, and returns its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cllm", "finetune", *words], cwd=place, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | {"XDG_CACHE_HOME": str(place / "cache")})
    end = time.monotonic() + SECONDS
    while not (place / run / "checkpoints/latest").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    return process.wait(timeout=SECONDS)


@pytest.mark.parametrize("kind", ["--lora", "--full"])
def test_the_same_command_goes_on_after_a_kill(kind, place):
    words = ["model", "--data", "questions.jsonl", kind, "--steps", "300", "--eval-every", "50",
             "--save-every", "5", "--workers", "1"]
    code, _, err = finetune(*words, "--out", f"once{kind}", place=place)
    assert code == 0, err
    assert killed([*words, "--out", f"twice{kind}"], place, f"twice{kind}") == -signal.SIGKILL
    assert not (place / f"twice{kind}/final").exists()
    code, _, err = finetune(*words, "--out", f"twice{kind}", "--workers", "2", place=place)
    assert code == 2 and "--workers" in err, "given twice"
    code, _, err = finetune(*words, "--out", f"twice{kind}", place=place)
    assert code == 0, err
    once, twice = place / f"once{kind}", place / f"twice{kind}"
    assert weights(once / "final") == weights(twice / "final")
    assert [json.loads(line)["step"] for line in (twice / "samples.jsonl").open()] == [
        json.loads(line)["step"] for line in (once / "samples.jsonl").open()]


def test_a_stopped_run_says_how_it_goes_on(place):
    words = ["model", "--data", "questions.jsonl", "--out", "stopped", "--steps", "400",
             "--save-every", "5", "--eval-every", "100", "--workers", "1"]
    assert killed(words, place, "stopped", signal.SIGINT) == 3
    code, _, err = finetune("--resume", "stopped", place=place)
    assert code == 0, err
    assert "chat    cllm chat stopped" in err
    code, _, err = finetune("--resume", "stopped", "--steps", "410", place=place)
    assert code == 0, err
    state = json.loads((place / "stopped/final/trainer_state.json").read_text())
    assert state["step"] == 410


def test_a_run_without_a_checkpoint_begins_anew(place):
    words = ["model", "--data", "questions.jsonl", "--out", "early", *STEPS]
    code, _, err = finetune(*words, place=place)
    assert code == 0, err
    first = weights(place / "early/final")
    for name in ("final", "checkpoints"):
        (place / "early" / name).rename(place / f"old-{name}")
    (place / "early/checkpoints").mkdir()
    code, _, err = finetune(*words, place=place)
    assert code == 0, err
    assert weights(place / "early/final") == first
    code, _, err = finetune(*words, "--overwrite", "--seed", "7", place=place)
    assert code == 0, err
    assert weights(place / "early/final") != first


def test_a_finished_run_is_left_as_it_is(tuned, place):
    before, samples = weights(place / "tuned/final"), (place / "tuned/samples.jsonl").read_text()
    code, _, err = finetune("model", "--data", "questions.jsonl", "--out", "tuned", "--lora",
                            *STEPS, place=place)
    assert code == 0, err
    assert re.search(r"^chat    cllm chat tuned/checkpoints/best$", err, re.MULTILINE)
    is_last = (place / "tuned/checkpoints/best").resolve().name.endswith("12")
    assert is_last != ("        cllm chat tuned/final  (after all steps" in err)
    assert weights(place / "tuned/final") == before
    assert (place / "tuned/samples.jsonl").read_text() == samples


# -- choices ------------------------------------------------------------------------------------

def chosen(given=(), *, full=False, **facts):
    from cllm.finetune.settings import Facts, choose

    usual = {"parameters": 135_000_000, "width": 576, "examples": 90, "tokens": 9000,
             "longest": 100, "room": 1024, "validates": True}
    return {one.name: one.text for one in choose(Facts(**usual | facts), dict(given), full=full)}


def test_choices_follow_the_model_and_the_examples():
    assert chosen() == {"lora": "true", "lora-rank": "16", "seq": "750", "batch": "1",
                        "epochs": "10", "lr": "0.0009", "weight-decay": "0", "keep-best": "true"}
    assert chosen(parameters=1_000_000) == chosen(full=True)
    assert chosen(full=True)["lr"] == "9e-05" and "lora" not in chosen(full=True)
    rates = [float(chosen(width=width)["lr"]) for width in (8, 400, 576, 960, 2048, 4096, 9999)]
    assert rates == sorted(rates, reverse=True) and (rates[0], rates[-1]) == (0.001, 0.0002)
    assert chosen(parameters=1_000_000, given={"lora": "true"})["lora-rank"] == "16"
    assert chosen(width=8)["lora-rank"] == "8"
    assert "epochs" not in chosen({"steps": "5"}) and "lr" not in chosen({"lr": "1"})
    assert "keep-best" not in chosen(validates=False)
    epochs = [int(chosen(examples=number, tokens=number * 300)["epochs"])
              for number in (1, 499, 500, 5000, 50_000, 500_000)]
    assert epochs == sorted(epochs, reverse=True) and epochs[0] == 10 and epochs[-1] == 1
    for longest in (2, 60, 500, 1024):
        found = chosen(longest=longest, examples=5000, tokens=5000 * longest // 2)
        assert longest <= int(found["seq"]) <= 1024
        assert 1 <= int(found["batch"]) * int(found["seq"]) <= 4096
    assert chosen(longest=900, tokens=2000)["seq"] == "900"  # few examples: rows are not longer
    assert chosen(longest=60, tokens=10**6)["seq"] == "1024"
    assert chosen(examples=1, tokens=5, longest=5)["batch"] == "1"


# -- a real model -------------------------------------------------------------------------------

def test_smollm2_learns_by_the_lines_of_readme(smollm2):
    """With fewer steps."""
    place = smollm2.parent
    (place / "python").symlink_to(ROOT / "python")
    readme = (ROOT / "README.md").read_text()

    def line(name):
        return shlex.split(re.search(rf"^cllm ({name} .*)$", readme, re.MULTILINE)[1])

    code, out, err = command(*line("prepare .* --model smollm2"), folder=place)
    assert code == 0 and "<|im_end|>\n]]" in out and "train: 100 of 100 examples, " in out, err
    code, _, err = finetune(*line("finetune")[1:], "--steps", "4", "--eval-every", "4", place=place)
    assert code == 0, err
    assert "chosen  --lora " in err and "90 examples of " in err
    before, after = map(float, re.search(r"loss ([\d.]+) before, ([\d.]+) at step 4", err).groups())
    assert after < before - 0.02, err
    chat = re.search(r"^chat    (cllm chat .*)$", err, re.MULTILINE)[1]
    assert f"\n{chat}\n" in readme
    done = subprocess.run([sys.executable, "-m", *chat.split(), "--tokens", "40"], cwd=place,
                          input=b"What is the capital of France?\n", capture_output=True,
                          check=False, timeout=SECONDS)
    assert done.returncode == 0 and b"Paris" in done.stdout, done.stderr
    code, out, err = command(*line("merge"), folder=place)
    assert code == 0 and "134,515,008 parameters" in out, err
    assert (place / "tuned-merged/chat_template.jinja").is_file()
