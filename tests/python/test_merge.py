"""`cllm merge`: an adapter becomes part of its model, or nothing is written."""

import json
import shutil

import numpy
import pytest
from chat_models import command
from conftest import contents, needs

pytestmark = needs("cllm", "numpy", "typer")
cllm = pytest.importorskip("cllm")

SMALL = {"layers": 2, "heads": 2, "dim": 24, "seq": 16, "batch": 5, "steps": 5, "workers": 1}


@pytest.fixture(scope="module")
def place(tmp_path_factory, text_file):
    """A model, a run with adapters beside it, and a model of another width."""
    folder = tmp_path_factory.mktemp("merge")
    for name, width in (("base", 24), ("wide", 48)):
        cllm.Trainer(cllm.TrainConfig(data=text_file, out=folder / name, **SMALL | {"dim": width})
                     ).run()
    cllm.Trainer(cllm.TrainConfig(data=text_file, out=folder / "run", init=folder / "base/final",
                                  lora=True, lora_rank=4, lr=1e-2, steps=5, workers=1)).run()
    return folder


def test_the_merged_model_says_what_model_and_adapter_say(place):
    code, out, err = command("merge", "run", "--out", "merged", folder=place)
    assert code == 0 and out.startswith("merged: gpt2, "), err
    assert err == "try     cllm generate --model merged\n"
    tokens = numpy.arange(12).reshape(1, 12)
    with_adapter = cllm.Model.load(place / "base", place / "run").logits(tokens)
    assert numpy.array_equal(cllm.Model.load(place / "merged").logits(tokens), with_adapter)
    base = cllm.Model.load(place / "base").logits(tokens)
    assert abs(base - with_adapter).max() > 1e-3, "the adapter was not negligible"
    assert not (place / "merged/adapter_config.json").exists()
    assert (place / "merged/manifest.json").is_file()


def test_a_model_that_moved_is_named(place, tmp_path):
    shutil.copytree(place / "run/final", tmp_path / "adapter")
    config = tmp_path / "adapter/adapter_config.json"
    shutil.copytree(place / "base/final", tmp_path / "moved")
    content = json.loads(config.read_text())
    (tmp_path / "adapter/manifest.json").unlink()
    config.write_text(json.dumps(content | {"base_model_name_or_path": "someone/model"}))
    code, _, err = command("merge", "adapter", "--out", "merged", folder=tmp_path)
    assert code == 2 and "someone/model" in err and err.count("\n") == 1
    assert "both" not in err and "beside it: cllm merge adapter --model MODEL --out FOLDER)" in err
    code, _, err = command("chat", "adapter", folder=tmp_path)
    assert code == 2 and "beside it: cllm chat MODEL --adapter adapter)" in err
    code, _, err = command("merge", "adapter", "--model", "moved", "--out", "merged",
                           folder=tmp_path)
    assert code == 0, err
    assert (tmp_path / "merged/model.safetensors").is_file()


def test_weights_may_be_rounded(place):
    sizes = {}
    for dtype in ("fp32", "bf16", "fp16"):
        code, out, err = command("merge", "run/final", "--out", dtype, "--save-dtype", dtype,
                                 folder=place)
        assert code == 0 and out.rstrip().endswith(dtype), err
        sizes[dtype] = (place / dtype / "model.safetensors").stat().st_size
        cllm.Model.load(place / dtype)
    assert max(sizes["bf16"], sizes["fp16"]) < 0.6 * sizes["fp32"]


def test_a_folder_is_replaced_only_when_it_is_wanted(place):
    (place / "there").mkdir()
    assert command("merge", "run", "--out", "there", folder=place)[0] == 0
    (place / "there/special_tokens_map.json").write_text("{}")  # as older tokenizers have it
    before = contents(place / "there")
    code, _, err = command("merge", "run", "--out", "there", folder=place)
    assert code == 2 and "--force to replace it" in err
    assert contents(place / "there") == before
    code, _, err = command("merge", "run", "--out", "there", "--force", "--save-dtype", "bf16",
                           folder=place)
    assert code == 0 and contents(place / "there") != before, err


def test_what_an_adapter_needs_is_not_replaced(place, tmp_path):
    for name in ("base", "run"):
        shutil.copytree(place / name, tmp_path / name)
    (tmp_path / "link").symlink_to("base/final")
    config = tmp_path / "run/final/adapter_config.json"
    content = json.loads(config.read_text())
    (tmp_path / "run/final/manifest.json").unlink()
    config.write_text(json.dumps(content | {"base_model_name_or_path": str(tmp_path / "base")}))
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*")}
    named = ["--model", place / "base"]  # a copy, which does not make the other one free
    for out, words in ((tmp_path / "base/final", ["--force"]), ("link", ["--force"]),
                       ("run/../base/final/", named), ("base", ["--force"])):
        code, _, err = command("merge", "run", "--out", out, *words, folder=tmp_path)
        assert code == 2 and err.count("\n") == 1, err
        assert "--out: the model that the adapter belongs to: got " in err
    for out in ("run", "run/final"):
        code, _, err = command("merge", "run", "--out", out, "--force", folder=tmp_path)
        assert code == 2 and f"{out}: holds something else" in err, err
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*")} == before


WRONG = {
    "a whole model": (["base"], "ADAPTER: no adapter: got base, a whole model, expected "),
    "nothing": (["nowhere"], "ADAPTER: no such folder: got nowhere"),
    "a name too long": (["x" * 256], "File name too long"),
    "an empty folder": (["empty"], "without adapter_config.json"),
    "another base": (["run", "--model", "wide"], "lora_A"),
    "no base": (["run", "--model", "nowhere"], "nowhere"),
    "an adapter for a base": (["run", "--model", "run"], "another adapter"),
    "a type": (["run", "--save-dtype", "int8"], '--save-dtype: no type of weights: got "int8"'),
    "a file": (["run", "--out", "file"], "file: is a file"),
    "a folder of others": (["run", "--out", "others"], "others: holds something else"),
    "no weights": (["broken"], "adapter_model.safetensors"),
    "no place": (["run", "--out", "file/new"], "file")}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_error_and_nothing_is_written(name, place):
    words, wanted = WRONG[name]
    (place / "empty").mkdir(exist_ok=True)
    (place / "file").write_text("x")
    (place / "others").mkdir(exist_ok=True)
    (place / "others/mine.txt").write_text("x")
    if not (place / "broken").exists():
        shutil.copytree(place / "run/final", place / "broken")
        (place / "broken/adapter_model.safetensors").unlink()
    before = sorted(place.rglob("*"))
    out = [] if "--out" in words else ["--out", "new"]
    code, said, err = command("merge", *words, *out, folder=place)
    assert code == 2 and not said and err.count("\n") == 1, err
    assert wanted in err, err
    assert sorted(place.rglob("*")) == before
