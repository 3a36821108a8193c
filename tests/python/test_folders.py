"""Model folders in and out: several files, 16 bits, and what transformers makes of them.

The folders are made here with torch and transformers; where these are missing the tests skip.
"""

import json
import shutil

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy", "torch", "transformers")
np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from against_torch import opened

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=101, n_positions=33, n_embd=60, n_layer=2, n_head=5,
                                     bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config).eval()


def test_several_files_are_one_model(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / "one")
    theirs.save_pretrained(tmp_path / "many", max_shard_size="50KB")
    assert len(list((tmp_path / "many").glob("model-*.safetensors"))) > 2
    one, many = (cllm.Model.load(tmp_path / name) for name in ("one", "many"))
    for name, values in one.parameters().items():
        assert np.array_equal(values, many.parameters()[name]), name
    many.save(tmp_path / "copy")
    assert not (tmp_path / "copy/model.safetensors.index.json").exists()
    (tmp_path / "many/model-00002-of-00004.safetensors").unlink(missing_ok=True)
    next((tmp_path / "many").glob("model-*.safetensors")).unlink()
    with pytest.raises(cllm.InputError, match="a file of weights is missing"):
        cllm.Model.load(tmp_path / "many")


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_of_each_type(dtype, theirs, tmp_path, caplog):
    rounded = transformers.GPT2LMHeadModel(theirs.config).eval()
    rounded.load_state_dict(theirs.state_dict())
    rounded.to(DTYPES[dtype]).save_pretrained(tmp_path / "theirs")
    ours = cllm.Model.load(tmp_path / "theirs")
    for name, values in rounded.state_dict().items():
        if name != "lm_head.weight":
            assert np.array_equal(ours.parameters()[name], values.float().numpy()), name

    theirs.save_pretrained(tmp_path / "exact")
    cllm.Model.load(tmp_path / "exact").save(tmp_path / "ours", dtype=dtype)
    again = opened(tmp_path / "ours", caplog)
    assert again.dtype == DTYPES[dtype]
    for name, values in again.state_dict().items():
        assert torch.equal(values, rounded.state_dict()[name]), name
    reopened = cllm.Model.load(tmp_path / "ours")
    reopened.save(tmp_path / "again", dtype=dtype)
    assert (tmp_path / "again/model.safetensors").read_bytes() == (
        tmp_path / "ours/model.safetensors").read_bytes()


def test_an_unknown_type_is_refused(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / "model")
    model = cllm.Model.load(tmp_path / "model")
    with pytest.raises(cllm.InputError, match="dtype: no type of weights: got int8"):
        model.save(tmp_path / "copy", dtype="int8")
    model.parameters()["transformer.ln_f.bias"][3] = 1e6
    with pytest.raises(cllm.InputError, match='bias" as F16: a weight is too large'):
        model.save(tmp_path / "copy", dtype="fp16")
    assert not (tmp_path / "copy").exists()


def test_a_run_that_saves_rounded_weights_goes_on_exactly(settings, tmp_path):
    settings |= {"steps": 6, "save_every": 3, "eval_every": 0}
    exact = cllm.Trainer(cllm.TrainConfig(**settings | {"out": tmp_path / "exact"}))
    exact.run()
    cllm.Trainer(cllm.TrainConfig(**settings, save_dtype="bf16")).run()
    rounded = json.loads((tmp_path / "run/final/config.json").read_text())
    assert rounded["dtype"] == "bfloat16"
    shutil.rmtree(tmp_path / "run/final")
    shutil.rmtree(tmp_path / "run/checkpoints/step-00000006", ignore_errors=True)
    again = cllm.Trainer(cllm.configure([("resume", str(tmp_path / "run")),
                                         ("save-dtype", "fp32")]))
    assert again.steps_done == 3
    again.run()
    assert again.weights_hash() == exact.weights_hash()
    assert (tmp_path / "run/final/model.safetensors").read_bytes() == (
        tmp_path / "exact/final/model.safetensors").read_bytes()
