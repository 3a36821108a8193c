"""The `cllm` command as a program."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import RUN_MODEL, TRAIN_MODEL, needs

pytestmark = needs("cllm", "numpy", "typer", "rich")
cllm = pytest.importorskip("cllm")

DONE, FAILED, BAD_INPUT, STOPPED = 0, 1, 2, 3
SECONDS = 300
SMALL = ["--layers", "2", "--heads", "2", "--dim", "32", "--seq", "32", "--batch", "4"]


def start(*words, folder, **environment):
    return subprocess.Popen([sys.executable, "-m", "cllm", *map(str, words)], cwd=folder,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE,
                            env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1"} | environment)


def run(*words, folder, **environment):
    process = start(*words, folder=folder, **environment)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


def test_help_shows_every_option(tmp_path):
    code, out, err = run("train", "--help", folder=tmp_path, COLUMNS="200")
    assert code == DONE and err == ""
    for option in cllm.options():
        assert f"--{option.name} " in out
        assert option.help[1:20] in out, option.name
    for command in ("generate", "plan", "verify", "bench", "data"):
        code, out, _ = run(command, "--help", folder=tmp_path)
        assert code == DONE and "Usage" in out
    assert run("--version", folder=tmp_path) == (DONE, f"cllm {cllm.__version__}\n", "")


COMMANDS = ([], ["train"], ["generate"], ["finetune"], ["chat"], ["merge"], ["plan"], ["verify"],
            ["bench"], ["eval"], ["data"], ["data", "shakespeare"], ["data", "enwik8-text"],
            ["data", "squad"])


@pytest.mark.parametrize("columns", [40, 79, 80, 100, 200])
def test_help_fits_the_terminal_and_cuts_nothing(columns):
    from cllm import cli
    from typer.testing import CliRunner

    for words in COMMANDS:
        result = CliRunner(env={"COLUMNS": str(columns), "NO_COLOR": "1"}).invoke(
            cli.app, [*words, "-h"], prog_name="cllm")
        out = result.output
        assert result.exit_code == DONE, out
        assert max(map(len, out.splitlines())) <= columns, words
        assert "\u2026" not in out
        if words == ["train"]:
            for option in cllm.options():
                assert re.search(rf"--{option.name}\b", out), option.name
            plain = " ".join(out.replace("\u2502", " ").split())
            assert "cosine, linear, constant or wsd" in plain
            assert "also --learning-rate" in plain and "fp32 or bf16" in plain


def test_both_programs_explain_options_alike(tmp_path):
    native = subprocess.run([TRAIN_MODEL, "--help"], env=os.environ | {"COLUMNS": "40"}, text=True,
                            capture_output=True, check=True).stdout
    _, ours, _ = run("train", "--help", folder=tmp_path, COLUMNS="40")
    native, ours = (" ".join(text.split()).lower() for text in (native, ours))
    for option in cllm.options():
        for text in (native, ours):
            assert option.explained.lower() in text, option.name


def test_a_reader_may_leave(tmp_path):
    for words in ([], ["train", "--help"], ["--help"], ["--version"], ["plan", "--threads", "64"]):
        reader, writer = os.pipe()
        os.close(reader)
        process = subprocess.run([sys.executable, "-m", "cllm", *words], cwd=tmp_path,
                                 stdout=writer, stderr=subprocess.PIPE, text=True, timeout=SECONDS)
        os.close(writer)
        if words:  # without any, the help is an error and goes elsewhere
            assert process.returncode == FAILED and process.stderr == "", words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes(tmp_path, shell):
    environment = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = Path(sys.executable).with_name("cllm")
    if not script.exists():
        pytest.skip("not installed by pip")

    def said(*words, **more):
        return subprocess.run([script, *words], cwd=tmp_path, text=True, capture_output=True,
                              env=os.environ | environment | more, timeout=SECONDS)

    shown = said("--show-completion", shell)
    assert shown.returncode == DONE and "_CLLM_COMPLETE" in shown.stdout, shown.stderr
    if shell == "bash":
        line = {"_CLLM_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
        options = said(COMP_WORDS="cllm train --sche", **line)
        assert options.stdout.split() == ["--schedule"] and options.returncode == DONE
        line["COMP_CWORD"] = "3"
        choices = said(COMP_WORDS="cllm train --schedule c", **line)
        assert choices.stdout.split() == ["cosine", "constant"]


def test_both_programs_answer_alike(tmp_path, text_file):
    """The same words after the program's name, for the same mistakes."""
    good = ["--data", text_file, "--out", "run"]
    for words in (["--bacth", "3"], ["--torch_dtype", "x"], ["--frobnicate"], ["--fp16"],
                  ["--device", "cpu"], ["--lr", "1", "--learning-rate", "1"],
                  ["--lr", "1", "--lr", "2"], ["--max-steps", "1", "--max_iters", "2"],
                  ["--schedule", "cosin"], ["--learning_rate", "nan"], ["--n_head", "5"],
                  ["--bacth", "3", "--init_from=resume", "--compile=False", "--bacth=4"],
                  ["stray"], ["--quiet", "x"], ["--bf16=maybe"], ["--quiet", "--quiet=true"],
                  ["--max_steps=-1"], ["--patience", "1", "--eval-every", "0"], ["--init", "gpt2"],
                  ["--batch"], ["--quiet", "--quiet"], ["--bf16", "--precision", "fp32"],
                  ["--config", "a", "--config=b"], ["--config", "a", "--config=b", "--bacth"]):
        code, _, ours = run("train", *good, *words, folder=tmp_path)
        native = subprocess.run([TRAIN_MODEL, *good, *words], cwd=tmp_path, text=True,
                                capture_output=True)
        assert code == native.returncode == BAD_INPUT
        assert ours.removeprefix("cllm: ") == native.stderr.removeprefix("train_model: ")
    for words in (["--out_dir", "x", "--num_samples", "3", "--dtype=float16"], ["--tempratur", "1"],
                  ["--model", "x", "--start", "FILE:/dev/null"], ["--model", "x", "stray"],
                  ["--model", "x", "--tokens", "1", "--tokens", "2"],
                  ["--model", "x", "--max_new_tokens", "1", "--tokens=1"],
                  ["--model", "x", "--out-dir", "x", "--tempratur", "1"]):
        code, _, ours = run("generate", *words, folder=tmp_path)
        native = subprocess.run([RUN_MODEL, *words], cwd=tmp_path, text=True, capture_output=True)
        assert code == native.returncode == BAD_INPUT
        assert ours.removeprefix("cllm: ") == native.stderr.removeprefix("run_model: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words, said", [
    (["bench", "--machine-only", "-o", "a", "--out", "b"], "-o and --out: two names of one"),
    (["bench", "-oa", "-o", "b"], "-o: given twice"),
    (["plan", "--machine", "a", "--machine=b"], "--machine: given twice"),
    (["data", "shakespeare", "--out", "a", "--out", "b"], "--out: given twice")])
def test_no_command_takes_an_option_twice(tmp_path, words, said):
    code, out, err = run(*words, folder=tmp_path)
    assert code == BAD_INPUT and out == "" and err.startswith(f"cllm: {said}"), err


def test_names_of_other_programs_train(tmp_path, text_file):
    code, _, err = run("train", "--train_file", text_file, "--output-dir", "run", "--max_steps", 2,
                       "--n-layer", 1, "--batch_size", 2, "--bf16", "--quiet", folder=tmp_path)
    assert code == DONE, err
    config = (tmp_path / "run/config.toml").read_text()
    assert "layers = 1\n" in config and 'precision = "bf16"' in config
    code, out, err = run("plan", "--n-layer", 1, "--block-size", 16, folder=tmp_path)
    assert code == DONE and "1 layer, " in out and "x 16 tokens" in out, err
    said = {run("generate", *words, folder=tmp_path)
            for words in (["--model", "run", "--prompt", "To be", "--tokens", "9"],
                          ["--out_dir=run", "--start=To be", "--max_new_tokens=9"])}
    assert len(said) == 1 and said.pop()[0] == DONE


def test_a_flag_may_say_true_or_false(tmp_path, text_file):
    code, _, err = run("train", "--data", text_file, "--out", "run", "--steps", 1, *SMALL,
                       "--bf16=False", "--keep_best=true", "--quiet", folder=tmp_path)
    assert code == DONE and err == "", err
    config = (tmp_path / "run/config.toml").read_text()
    assert 'precision = "fp32"' in config and "keep_best = true" in config
    code, _, err = run("train", "--resume", "run", "--keep-best=false", "--steps", 2, "--quiet",
                       folder=tmp_path)
    assert code == DONE and "keep_best = false" in (tmp_path / "run/config.toml").read_text(), err
    code, _, err = run("bench", "--json=true", folder=tmp_path)
    assert code == BAD_INPUT and "--json" in err


def test_plurals(tmp_path):
    code, out, _ = run("plan", "--workers", 1, "--layers", 1, "--heads", 1, "--batch", 1,
                       folder=tmp_path)
    assert code == DONE
    assert not re.search(r"(?<![\d,.])1 (?:layer|head|shard|position|sequence|sphere|worker)s", out)


def test_the_place_of_a_bench_is_tried_before_measuring(tmp_path, monkeypatch):
    from cllm import _bench_command, cli
    from typer.testing import CliRunner

    def measured(*words):
        raise AssertionError("measured")

    for name in ("steps", "machine_only", "versus_torch", "chosen"):
        monkeypatch.setattr(_bench_command, name, measured)
    (tmp_path / "bench.json").touch()
    (tmp_path / "machine.json").touch()
    for words, text in ((["-o", "/proc/bench.json"], "cannot be written"),
                        (["-o", str(tmp_path / "bench.json")], "would be overwritten"),
                        (["-o", str(tmp_path / "bench.json/x")], "cannot be written"),
                        (["--machine-only", "-o", str(tmp_path)], "machine.json")):
        result = CliRunner().invoke(cli.app, ["bench", "--workers", "1", *words])
        assert result.exit_code == BAD_INPUT and text in result.output, result.output
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "bench.json"))
    result = CliRunner().invoke(cli.app, ["bench", "--machine-only", "--workers", "1"])
    assert result.exit_code == BAD_INPUT and "cannot be written" in result.output


def test_train_then_generate(tmp_path, text_file):
    code, out, err = run("train", "--data", text_file, "--out", "run", "--steps", 12, *SMALL,
                         folder=tmp_path)
    assert code == DONE and out == "", err
    assert "step 12/12" in err.replace("  ", " ") and "model   run/final\n" in err
    assert err.endswith("sample  cllm generate --model run\n")
    code, out, err = run("generate", "--model", "run", "--prompt", "To be", "--tokens", 20,
                         "--seed", 4, folder=tmp_path)
    assert code == DONE and err == ""
    model = cllm.Model.load(tmp_path / "run")
    wanted = "To be" + model.generate("To be", tokens=20, seed=4) + "\n"
    assert out == wanted

def test_the_best_model_is_the_one_that_is_offered(tmp_path, text_file):
    """With a rate of 0 no evaluation is better than the first."""
    code, _, err = run("train", "--data", text_file, "--out", "run", "--steps", 6, "--lr", 0,
                       "--eval-every", 2, "--keep-best", *SMALL, folder=tmp_path)
    assert code == DONE and "best    run/checkpoints/best, of step 2: validation loss" in err, err
    assert err.endswith("sample  cllm generate --model run/checkpoints/best\n")


def test_training_is_that_of_train_model(tmp_path, text_file):
    """The same options give the same weights as in the program and from Python."""
    words = ["--data", text_file, "--steps", 6, "--lr", "2e-3", "--no-bias", *SMALL]
    (tmp_path / "mine.toml").write_text("batch = 9\nseed = 3\n")
    code, _, err = run("train", "--config", "mine.toml", "--out", "run", *words, "--quiet",
                       folder=tmp_path)
    assert code == DONE and err == ""
    trainer = cllm.Trainer(cllm.TrainConfig(data=text_file, out=tmp_path / "other", steps=6,
                                            lr=2e-3, no_bias=True, layers=2, heads=2, dim=32,
                                            seq=32, batch=4, seed=3))
    for _ in trainer:
        pass
    weights = (tmp_path / "run/final/model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == trainer.weights_hash()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_resume_goes_on(tmp_path, text_file, number):
    words = ["--data", text_file, "--out", "run", *SMALL, "--steps", 1200, "--eval-every", 0]
    process = start("train", *words, folder=tmp_path)
    metrics, until = tmp_path / "run/metrics.jsonl", time.monotonic() + SECONDS
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < 1:
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode in (STOPPED, DONE), err
    assert process.returncode == STOPPED, "the steps were over before the signal"
    assert b"to continue: cllm train --resume run" in err
    code, _, err = run("train", "--resume", "run", "--workers", 3, folder=tmp_path)
    assert code == DONE, err
    code, _, err = run("train", *words[:2], "--out", "whole", *words[4:], folder=tmp_path)
    assert code == DONE, err
    final = "final/model.safetensors"
    assert (tmp_path / "run" / final).read_bytes() == (tmp_path / "whole" / final).read_bytes()


def test_bad_input_is_one_line(tmp_path, text_file):
    for words, parts in [
        (["train"], ["--data", "nothing to train on"]),
        (["train", "--data", "nowhere.txt", "--out", "run"], ["nowhere.txt", "no such file"]),
        (["train", "--data", text_file, "--out", "run", "--lr", "nan"], ["--lr", '"nan"']),
        (["train", "--resume", "nowhere"], ["--resume", "no such folder"]),
        (["generate", "--model", "nowhere"], ["nowhere", "no such folder"]),
        (["plan", "--workers", "0"], ["--workers", '"0"']),
        (["plan", "--workers", "2", "--threads", "5"], ["--threads"]),
        (["plan", "--token", "5"], ["--token", "nothing is drawn", "--lattice"]),
        (["plan", "--lattice", "--token", "no"], ["--token", '"no"', "a number below 257"]),
        (["plan", "--lattice", "--data", "nowhere"], ["--data", "nowhere", "cllm prepare"]),
        (["verify", "--workers", "1,x"], ["--workers", "1,x"]),
        (["data", "shakespeare", "--archive", text_file], ["SHA-256"]),
    ]:
        code, out, err = run(*words, folder=tmp_path)
        assert (code, out) == (BAD_INPUT, ""), err
        assert err.startswith("cllm: ") and err.count("\n") == 1, err
        assert all(part in err for part in parts), err
    code, _, err = run("train", "--bacth", "3", folder=tmp_path)
    assert code == BAD_INPUT and "--batch" in err
    assert list(tmp_path.iterdir()) == []


def test_plan_draws_the_tree(tmp_path):
    code, out, err = run("plan", "--threads", 64, folder=tmp_path)
    assert code == DONE, err
    assert "64 spheres, 51 of them workers" in out
    assert re.search(r"1 root\n├─ 3 controls, each with\n│  └─ 5 workers\n"
                     r"└─ 9 controls, each with\n   └─ 4 workers\n", out), out
    assert re.search(r"^2 +51 +51 worker", out, re.MULTILINE)
    assert "S = 4 shards" in out and "K = 4 positions" in out and "MiB" in out
    code, out, _ = run("plan", "--workers", 64, "--batch", 96, "--seq", 128, folder=tmp_path)
    assert code == DONE and "64 of them workers" in out and "96 x 128 tokens in S = 24" in out


def test_plan_draws_the_clock_of_a_lattice(tmp_path, text_file):
    code, _, err = run("prepare", text_file, "-o", "set", "--tokenizer", "bpe:300", "--order",
                       "frequency", folder=tmp_path)
    assert code == DONE, err
    code, out, err = run("plan", "--lattice", "--data", "set", "--token", " the", "--symmetry", "6",
                         folder=tmp_path)
    assert code == DONE and "vocabulary" in out and "drawn   lattice.svg" in err, err
    drawing = ElementTree.parse(tmp_path / "lattice.svg").getroot()
    kinds = [element.tag.partition("}")[2] for element in drawing.iter()]
    rings = 16
    assert kinds.count("circle") == rings + 6 * rings, "rings, and a dot for each token on them"
    texts = [element.text for element in drawing.iter() if element.text]
    assert any(text.startswith("lit: \u201c the\u201d, token ") and
               text.endswith(" and 6 kissing neighbours") for text in texts)
    assert any("of 6, of which" in text for text in texts)
    colours = [element.get("fill") for element in drawing.iter()]
    assert colours.count("#e63946") == 1 and colours.count("#f4a261") == 6
    code, _, err = run("plan", "--lattice", "--vocab", 1, folder=tmp_path)
    assert code == DONE, err


def test_plan_draws_again_over_its_own_drawing_alone(tmp_path):
    file = tmp_path / "lattice.svg"
    assert run("plan", "--lattice", folder=tmp_path)[0] == DONE
    first = file.read_bytes()
    code, _, err = run("plan", "--lattice", "--token", 7, folder=tmp_path)
    assert code == DONE and file.read_bytes() != first, err
    drawing = file.read_bytes()
    linked = tmp_path / "linked.svg"
    linked.write_bytes(drawing)
    link = tmp_path / "link.svg"
    link.symlink_to(linked)
    for name, content in [("changed", drawing.replace(b"#e63946", b"#e63947")),
                          ("longer", drawing + b"\n"), ("cut", drawing[:-40]), ("empty", b""),
                          ("mine", b"<svg/>"), ("seal", drawing[drawing.rindex(b"<!--"):]),
                          ("link", None)]:
        other = tmp_path / f"{name}.svg"
        if content is not None:
            other.write_bytes(content)
        code, out, err = run("plan", "--lattice", "-o", other, folder=tmp_path)
        assert (code, out) == (BAD_INPUT, "") and "--out" in err and "--force" in err, name
        assert content is None or other.read_bytes() == content, name
        assert run("plan", "--lattice", "-o", other, "--force", folder=tmp_path)[0] == DONE, name
    assert linked.read_bytes() == drawing


def test_verify_prints_one_hash(tmp_path, text_file):
    code, out, err = run("verify", "--workers", "1,2,13", "--steps", 3, folder=tmp_path)
    assert code == DONE, err
    hashes = re.findall(r"[0-9a-f]{64}", out)
    assert len(hashes) == 4 and len(set(hashes)) == 1
    assert list(tmp_path.iterdir()) == []
    code, mine, err = run("verify", "--workers", "1,3", "--steps", 2, "--data", text_file, *SMALL,
                          folder=tmp_path)
    assert code == DONE and hashes[0] not in mine, err
    cllm.Model.create(cllm.ModelConfig(layers=1, heads=3, dim=12, seq=40), byte_tokens=True,
                      ).save(tmp_path / "start")
    code, out, err = run("verify", "--workers", "1,3", "--steps", 2, "--init", "start",
                         folder=tmp_path)
    assert code == DONE and len(set(re.findall(r"[0-9a-f]{64}", out))) == 1, err


def test_verify_names_the_first_tensor_that_differs(monkeypatch):
    from cllm import _verify, cli
    from typer.testing import CliRunner

    np = pytest.importorskip("numpy")
    real = _verify.train_at

    def disturbed(config, workers):
        trained = real(config, workers)
        if workers == 2:
            trained.tensors["transformer.wpe.weight"][3, 5] = np.nextafter(
                trained.tensors["transformer.wpe.weight"][3, 5], np.float32(9))
            trained.tensors["transformer.ln_f.bias"][0] += 1
            trained.hash = "0" * 64
        return trained

    monkeypatch.setattr(_verify, "train_at", disturbed)
    result = CliRunner().invoke(cli.app, ["verify", "--workers", "1,3,2,4", "--steps", "2"])
    assert result.exit_code == FAILED
    assert "1 and 2 workers differ: transformer.wpe.weight[3, 5] is" in result.output
    assert "1 of 4096 elements" in result.output and "one answer" not in result.output


def test_the_script_is_installed():
    script = Path(sys.executable).with_name("cllm")
    if not script.exists():
        pytest.skip("not installed by pip")
    result = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert result.stdout == f"cllm {cllm.__version__}\n"
