"""Agreement with PyTorch and transformers: logits, loss, every gradient, AdamW, model folders.

Environment: CLLM_REQUIRE_PARITY=1 turns what would be skipped into a failure.
"""

import dataclasses
import importlib.util
import os

import pytest

MISSING = [name for name in ("cllm", "torch", "transformers")
           if importlib.util.find_spec(name) is None]
if MISSING and os.environ.get("CLLM_REQUIRE_PARITY") == "1":
    raise ImportError(f"CLLM_REQUIRE_PARITY=1 and these are not installed: {', '.join(MISSING)}")
if MISSING:
    pytest.skip("torch" if "cllm" not in MISSING else "cllm", allow_module_level=True)

import cllm
import numpy as np
import torch
from against_torch import difference, differences, forward, same_training, step, stirred, tokens_of
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

TOLERANCE = 1e-4  # largest difference over the tensor's largest magnitude


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int
    heads: int
    width: int
    positions: int
    vocabulary: int
    batch: int
    length: int


SHAPES = {
    "odd": Shape(2, 5, 60, 33, 101, 3, 33),
    "bytes": Shape(4, 4, 128, 64, 257, 12, 64),
    # Several blocks of queries, two shards, sequences shorter than the model's context.
    "long": Shape(1, 2, 64, 600, 700, 3, 530),
    "gpt2_124m": Shape(12, 12, 768, 1024, 50257, 2, 24),
}


def reference(shape, seed=5):
    torch.manual_seed(seed)
    return stirred(GPT2LMHeadModel(GPT2Config(
        n_layer=shape.layers, n_head=shape.heads, n_embd=shape.width, n_positions=shape.positions,
        vocab_size=shape.vocabulary, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=0, eos_token_id=0)))


def tokens(shape, seed=7):
    return tokens_of(seed, shape.vocabulary, shape.batch, shape.length)


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def pair(request, tmp_path_factory):
    """A folder that transformers saved, read here; the model it was; its shape."""
    shape = SHAPES[request.param]
    model = reference(shape)
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    return cllm.Model.load(folder), model, shape


def test_logits_loss_and_every_gradient(pair, record_property):
    ours, theirs, shape = pair
    worst = differences(ours, theirs, *tokens(shape))
    name = max(worst, key=worst.get)
    record_property("worst", f"{name}: {worst[name]:.2e}")
    print(f"logits {worst['logits']:.2e}, loss {worst['loss']:.2e}, worst {name} {worst[name]:.2e}")
    assert worst[name] <= TOLERANCE, name


def test_a_folder_written_here_opens_there(pair, tmp_path):
    ours, theirs, shape = pair
    ours.save(tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    inputs, targets = tokens(shape)
    with torch.no_grad():
        logits = forward(theirs, inputs, targets)[0]
        assert torch.equal(forward(again, inputs, targets)[0], logits), "not a bit was lost"
    assert difference(ours.logits(inputs), logits) <= TOLERANCE


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_ten_steps_of_adamw(tmp_path, bias):
    shape = SHAPES["odd"]
    theirs = reference(shape)
    if not bias:
        with torch.no_grad():
            for name, parameter in theirs.named_parameters():
                if name.endswith(".bias"):
                    parameter.zero_().requires_grad_(False)
    theirs.save_pretrained(tmp_path / "start")
    if not bias:  # what transformers has no key for
        text = (tmp_path / "start/config.json").read_text()
        own = '{"cllm": {"bias": false, "symmetry_order": 12, "tokens": "ids"},'
        (tmp_path / "start/config.json").write_text(text.replace("{", own, 1))
    clip = 1.0
    trainer, optimizer = same_training(tmp_path / "start", tmp_path, theirs, shape.vocabulary,
                                       shape.batch, shape.length, rate=3e-3, clip=clip, workers=2)
    clipped, first = 0, None
    for i in range(10):
        batch = tokens(shape, seed=i % 3)  # repeated, so that there is something to learn
        loss, norm = step(theirs, optimizer, clip, *batch)
        report = trainer.step(*batch)
        assert abs(report.loss - loss) <= TOLERANCE, i
        assert report.grad_norm == pytest.approx(norm, rel=1e-4)
        clipped += norm > clip
        first = first or loss
    assert clipped > 0, "clipping was tested too"
    assert loss < first - 0.1, "the steps were not negligible"
    for name, parameter in theirs.named_parameters():
        ours = trainer.parameters()[name]
        if name.endswith("c_attn.bias"):
            # A bias of keys moves every score of a query alike, which softmax cancels: its gradient
            # is rounding noise, and AdamW takes noise for a direction.
            keys = slice(shape.width, 2 * shape.width)
            ours, parameter = np.delete(ours, keys), torch.cat(
                [parameter[:shape.width], parameter[2 * shape.width:]])
        if parameter.any():
            assert difference(ours, parameter) <= TOLERANCE, name
        else:
            assert not ours.any(), name


def test_a_trained_run_opens_there_with_its_tokenizer(text_file, tmp_path):
    trainer = cllm.Trainer(cllm.TrainConfig(data=text_file, out=tmp_path / "run", layers=2,
                                            heads=2, dim=32, seq=32, batch=4, steps=5))
    trainer.run()
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "run/final")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run/final")
    text = "To be, or n\u00f6t"
    ids = tokenizer(text, return_tensors="pt").input_ids
    assert ids[0].tolist() == list(text.encode())
    with torch.no_grad():
        logits = theirs(ids).logits
    ours = cllm.Model.load(tmp_path / "run")
    assert difference(ours.logits(ids.numpy()), logits) <= TOLERANCE
    greedy = theirs.generate(ids, max_new_tokens=8, do_sample=False)[0, ids.shape[1]:]
    assert ours.generate(ids[0].numpy(), tokens=8, temperature=0).tolist() == greedy.tolist()
