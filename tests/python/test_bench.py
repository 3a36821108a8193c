"""`cllm bench` as a program, at shapes that take milliseconds."""

import json
import os
import re
import subprocess
import sys
import types

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy", "typer", "rich")
cllm = pytest.importorskip("cllm")

DONE, BAD_INPUT = 0, 2
SECONDS = 300
TINY = cllm.ModelConfig(layers=1, heads=2, dim=16, seq=16, vocab=70)


def run(*words, folder, **environment):
    settings = {"COLUMNS": "100", "NO_COLOR": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-m", "cllm", "bench", *map(str, words)], cwd=folder,
                          text=True, capture_output=True, timeout=SECONDS, check=False,
                          env=os.environ | settings | environment)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def model_folder(tmp_path):
    cllm.Model.create(TINY, byte_tokens=False).save(tmp_path / "model")
    return tmp_path / "model"


def test_machine_is_measured_kept_and_read(tmp_path):
    code, out, err = run("--machine-only", "--workers", 2, folder=tmp_path)
    assert code == DONE, err
    for line in ("product, gradient of weights", "attention, backward", "AdamW", "waking",
                 "attention, backward, dropout", "bias, dropout and residual"):
        assert line in out
    kept = (tmp_path / "cache/cllm/machine.json").read_text()
    machine = cllm.Machine.from_json(kept)
    assert [r.workers for r in machine.rates] == [1, 2]
    assert cllm.Machine.from_json(machine.to_json()).to_json() == machine.to_json()
    for rates in machine.rates:
        assert rates.gemm_gflops > 0.1 and rates.copy_gbs > 0.1 and 0.1 < rates.wake_us < 1e5
        kernels = {time.kernel for time in rates.times}
        assert {"gemm_nn", "gemm_nt", "gemm_tn", "gemm_packed", "adamw", "sum_3"} <= kernels
        assert {"dropout_rows", "bias_dropout_residual", "attention_forward_dropout"} <= kernels
        sizes = {t.kernel: t for t in rates.times}
        assert sizes["adamw"].bytes_moved == 28 * sizes["adamw"].sizes[0]
        assert sizes["adamw"].operations == 0
        m, n, k, _ = sizes["gemm_nn"].sizes
        assert sizes["gemm_nn"].operations == 2 * m * n * k
        # What moves through memory is no faster there than in the cache.
        adamw = [t.nanoseconds for t in rates.times if t.kernel == "adamw"]
        assert adamw[-1] > adamw[0]
    code, out, err = run("--machine-only", "--workers", 1, "--json", "-o", "mine.json",
                         folder=tmp_path)
    assert code == DONE, err
    assert json.loads(out) == json.loads((tmp_path / "mine.json").read_text())
    assert (tmp_path / "cache/cllm/machine.json").read_text() == kept


def test_plan_predicts_from_a_measurement(tmp_path):
    def plan(*words):
        settings = {"COLUMNS": "100", "XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run([sys.executable, "-m", "cllm", "plan", *map(str, words)],
                              cwd=tmp_path, text=True, capture_output=True, timeout=SECONDS,
                              check=False, env=os.environ | settings)
        return done.returncode, done.stdout, done.stderr

    code, out, _ = plan()
    assert code == DONE and "time    not known: `cllm bench --machine-only`" in out
    assert run("--machine-only", "--workers", 1, folder=tmp_path)[0] == DONE
    times = []
    for batch in (4, 8):
        code, out, err = plan("--workers", 1, "--batch", batch, "--seq", 128, "--dim", 256)
        found = re.search(r"^time +([0-9,.]+) ms a step of 1 worker: (\d+) % in products, (\d+) % "
                          r"in passes, [0-9.]+ % waiting; [0-9,]+ tiles, \d+ messages$", out,
                          re.MULTILINE)
        assert code == DONE and found, out + err
        times.append(float(found[1].replace(",", "")))
        assert 50 < int(found[2]) < 100
    assert 1.6 * times[0] < times[1] < 2.4 * times[0]
    shape = ("--workers", 1, "--batch", 8, "--seq", 128, "--dim", 256)
    code, out, err = plan(*shape, "--dropout", 0.1)
    assert code == DONE and "waiting" in out and "dropout" not in out, out + err
    # One of an earlier version: times alone, without the kernels of dropout.
    old = json.loads((tmp_path / "cache/cllm/machine.json").read_text())
    for rates in old["rates"]:
        rates["nanoseconds"] = {kernel: [row[:2] for row in rows]
                                for kernel, rows in rates["nanoseconds"].items()
                                if "dropout" not in kernel}
    (tmp_path / "old.json").write_text(json.dumps(old))
    code, out, err = plan(*shape, "--machine", "old.json")
    assert code == DONE and " ms a step" in out, err
    code, out, err = plan(*shape, "--dropout", 0.1, "--machine", "old.json")
    assert (code, err.count("\n")) == (BAD_INPUT, 1) and "dropout" in err and "old.json" in err
    # A measurement of another machine is used when it is named, and only then.
    cache = tmp_path / "cache/cllm/machine.json"
    other = json.loads(cache.read_text()) | {"cpu": "another"}
    cache.write_text(json.dumps(other))
    code, out, _ = plan()
    assert code == DONE and "is of another machine" in out
    code, out, _ = plan("--machine", cache)
    assert code == DONE and " ms a step" in out
    del other["rates"][0]["nanoseconds"]["adamw"]
    cache.write_text(json.dumps(other))
    code, out, err = plan("--machine", cache)
    assert (code, err.count("\n")) == (BAD_INPUT, 1) and "adamw" in err and "machine.json" in err
    code, out, _ = plan()
    assert code == DONE and "is of another version" in out
    code, _, err = plan("--machine", "nowhere.json")
    assert (code, err.count("\n")) == (BAD_INPUT, 1) and "nowhere.json" in err


def test_steps_of_a_model_folder(tmp_path, model_folder):
    code, out, err = run("--model", model_folder, "--batch", 3, "--seq", 8, "--steps", 4,
                         "--workers", 2, folder=tmp_path)
    assert code == DONE, err
    assert "ms a step" in out and "MFU" in out and "3 x 8 tokens" in err
    for part in ("product dW", "attention", "optimizer", "waiting"):
        assert re.search(rf"^{part} +[0-9.]+$", out, re.MULTILINE), out
    assert len(os.sched_getaffinity(0)) == 1 or re.search(r"MiB +[0-9]+ ns$", out, re.MULTILINE)
    code, out, err = run("--model", model_folder, "--steps", 4, "--workers", 1, "--json", "-o",
                         "found.json", folder=tmp_path)
    assert code == DONE, err
    found = json.loads(out)[str(model_folder)]
    assert json.loads((tmp_path / "found.json").read_text()) == json.loads(out)
    assert found["steps"] == 4 and found["workers"] == 1 and found["round_trip_ns"] == 0
    assert 0 < found["least"] <= found["milliseconds"] <= found["most"]
    tokens = 12 * TINY.seq
    assert found["tokens_per_second"] == pytest.approx(1e3 * tokens / found["milliseconds"])
    assert found["gflops"] == pytest.approx(found["mfu"] * found["peak_gflops"])
    assert 10 * 2**20 < found["peak_memory"] < 2**30
    assert sum(found["parts"].values()) == pytest.approx(found["parts_milliseconds"])


def test_case_a(tmp_path):
    code, out, err = run("a", "--steps", 3, "--json", folder=tmp_path)
    assert code == DONE, err
    layer = 12 * 128**2 + 13 * 128
    assert json.loads(out)["A"]["parameters"] == 4 * layer + (65 + 64 + 2) * 128


def test_bad_input_is_one_line(tmp_path, model_folder):
    for words, parts in [
        (["X"], ['"X"', "A, B, C, D, E, F, G"]),
        (["A", "--model", model_folder], ["--model", '"A"']),
        (["A", "--batch", "3"], ["--batch", "--model"]),
        (["--model", "nowhere"], ["nowhere", "no such folder"]),
        (["--model", model_folder, "--seq", "17"], ["--seq", "17", "at most 16"]),
        (["--model", model_folder, "--batch", "0"], ["--batch", "at least 1"]),
        (["A", "--workers", "0"], ["--workers", "at least 1"]),
        (["A", "--rounds", "0"], ["--rounds", "at least 1"]),
        (["A", "--vs", "jax"], ["--vs", '"jax"']),
        (["A", "--gemm", "blas"], ["blas", "native"]),
        (["A", "--precision", "fp8"], ["--precision", '"fp8"', "bf16"]),
        (["--machine-only", "--gemm", "blas"], ["blas", "native"]),
    ]:
        code, out, err = run(*words, folder=tmp_path)
        lines = [line for line in err.splitlines() if line.startswith("cllm: ")]
        assert (code, out, len(lines)) == (BAD_INPUT, "", 1), err
        assert all(part in lines[0] for part in parts), err
    assert not (tmp_path / "cache").exists()


def test_machine_files_are_checked():
    good = {"cpu": "c", "kernels": "k", "gemm": "g", "rates": [
        {"workers": 1, "gemm_gflops": 1.0, "copy_gbs": 1.0, "wake_us": 1.0,
         "nanoseconds": {"adamw": [[[5, 6], 2.0]]}}]}
    machine = cllm.Machine.from_json(json.dumps(good))
    assert machine.rates[0].times[0].sizes == [5, 6] and machine.rates[0].times[0].nanoseconds == 2
    for text in ["", "[]", "{}", json.dumps(good | {"rates": []}), json.dumps(good | {"cpu": 3}),
                 json.dumps(good).replace("2.0", "-2.0"), json.dumps(good).replace("2.0", '"x"'),
                 json.dumps(good).replace('"workers": 1', '"workers": 0')]:
        with pytest.raises(cllm.InputError, match="my file"):
            cllm.Machine.from_json(text, "my file")
    with pytest.raises(cllm.InputError, match="workers"):
        cllm.Machine.measure([])


# -- PyTorch --------------------------------------------------------------------------------------

def test_without_torch_the_command_says_what_to_type(monkeypatch):
    import importlib.util

    from cllm import cli
    from typer.testing import CliRunner

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name, *rest: None if name == "torch" else real(name, *rest))
    result = CliRunner().invoke(cli.app, ["bench", "A", "--vs", "torch"])
    assert result.exit_code == BAD_INPUT
    assert "pip install torch==2.13.0" in result.output


def test_without_a_compiler_forcing_is_skipped(monkeypatch):
    from cllm import _bench

    monkeypatch.setattr(_bench.shutil, "which", lambda name: None)
    with _bench.forced_mkl() as library:
        assert library is None


@needs("torch")
def test_torch_in_turn_with_ours(tmp_path, model_folder):
    code, out, err = run("--model", model_folder, "--batch", 2, "--vs", "torch", "--force-mkl",
                         "--eager-only", "--rounds", 2, "--steps", 2, "--workers", 1, "-o",
                         "found.json", folder=tmp_path)
    assert code == DONE, err
    assert "PyTorch eager" in out and "as installed" in out and "fused AdamW, clip 1" in out
    found = json.loads((tmp_path / "found.json").read_text())[str(model_folder)]
    assert len(found["ours"]) == len(found["torch"]["eager"]) == len(found["ratios"]) == 2
    eager, mine = found["torch"]["eager"][1], found["ours"][1]
    assert found["ratios"][1] == pytest.approx(eager["milliseconds"] / mine["milliseconds"])
    assert eager["threads"] == 1 and eager["steps"] == 2
    if "skipped" not in err:
        assert "PyTorch eager, forced" in out and len(found["ratios_forced"]) == 2


def shape_of(config):
    """What the program in PyTorch reads."""
    return types.SimpleNamespace(layers=config.layers, heads=config.heads, dim=config.dim,
                                 kv_heads=config.kv_heads, hidden=config.hidden, seq=config.seq,
                                 vocab=config.vocab)


@needs("torch")
def test_torch_trains_the_same_model():
    from cllm import _torch_step

    model = _torch_step.Gpt(shape_of(TINY))
    mine = cllm.Model.create(TINY).parameters()
    assert sum(p.numel() for p in model.parameters()) == sum(p.size for p in mine.values())


LLAMA = cllm.ModelConfig(family="llama", layers=2, heads=4, kv_heads=2, dim=32, hidden=72, seq=16,
                         vocab=70, norm_epsilon=1e-5)


def test_a_llama_is_timed_as_what_it_is(tmp_path):
    cllm.Model.create(LLAMA, byte_tokens=False).save(tmp_path / "model")
    code, out, err = run("--model", tmp_path / "model", "--steps", 2, "--workers", 1, "--json",
                         folder=tmp_path)
    assert code == DONE, err
    found = json.loads(out)[str(tmp_path / "model")]
    assert found["parameters"] == LLAMA.parameters


def test_torch_is_not_compared_with_another_model(tmp_path):
    config = cllm.ModelConfig(family="qwen2", layers=1, heads=2, dim=16, seq=16, vocab=70)
    cllm.Model.create(config, byte_tokens=False).save(tmp_path / "model")
    code, out, err = run("--model", tmp_path / "model", "--vs", "torch", folder=tmp_path)
    assert (code, out) == (BAD_INPUT, "") and '"qwen2"' in err.splitlines()[-1]


@needs("torch")
def test_the_llama_in_torch_has_our_loss():
    import numpy as np
    import torch
    from cllm import _torch_step

    ours = cllm.Model.create(LLAMA, seed=3, byte_tokens=False)
    theirs = _torch_step.Llama(shape_of(LLAMA))
    names = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
             "projection": "self_attn.o_proj", "gate": "mlp.gate_proj", "up": "mlp.up_proj",
             "down": "mlp.down_proj", "norm1": "input_layernorm",
             "norm2": "post_attention_layernorm"}
    values = ours.parameters()
    state = {"tokens.weight": values["model.embed_tokens.weight"],
             "norm.weight": values["model.norm.weight"]}
    for layer in range(LLAMA.layers):
        for mine, name in names.items():
            state[f"blocks.{layer}.{mine}.weight"] = values[f"model.layers.{layer}.{name}.weight"]
    theirs.load_state_dict({name: torch.tensor(np.array(value)) for name, value in state.items()},
                           strict=False)
    tokens = np.random.default_rng(1).integers(70, size=(3, 17)).astype(np.int32)
    loss, _ = ours.loss_and_gradients(tokens[:, :-1], tokens[:, 1:])
    expected = theirs(torch.tensor(tokens[:, :-1]).long(), torch.tensor(tokens[:, 1:]).long())
    assert loss == pytest.approx(float(expected), rel=1e-5)
