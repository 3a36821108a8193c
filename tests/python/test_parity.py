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
    """A model of transformers in which every parameter, biases too, is a number of its own."""
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(GPT2Config(
        n_layer=shape.layers, n_head=shape.heads, n_embd=shape.width, n_positions=shape.positions,
        vocab_size=shape.vocabulary, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=0, eos_token_id=0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def tokens_of(shape, seed=7):
    """inputs[B, T] and targets[B, T]."""
    tokens = np.random.default_rng(seed).integers(0, shape.vocabulary,
                                                  (shape.batch, shape.length + 1))
    return tokens[:, :-1], tokens[:, 1:]


def forward(model, inputs, targets):
    """Logits and mean loss as tensors of torch."""
    logits = model(torch.from_numpy(np.ascontiguousarray(inputs))).logits
    flat = torch.from_numpy(np.ascontiguousarray(targets)).flatten()
    return logits, torch.nn.functional.cross_entropy(logits.flatten(0, 1), flat)


def difference(found, expected):
    expected = expected.detach().numpy()
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


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
    inputs, targets = tokens_of(shape)
    logits, loss = forward(theirs, inputs, targets)
    theirs.zero_grad()
    loss.backward()
    worst = {"logits": difference(ours.logits(inputs), logits)}
    our_loss, gradients = ours.loss_and_gradients(inputs, targets)
    worst["loss"] = abs(our_loss - loss.item()) / loss.item()
    expected = dict(theirs.named_parameters())
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        worst[name] = difference(gradient, expected[name].grad)
    name = max(worst, key=worst.get)
    record_property("worst", f"{name}: {worst[name]:.2e}")
    print(f"logits {worst['logits']:.2e}, loss {worst['loss']:.2e}, worst {name} {worst[name]:.2e}")
    assert worst[name] <= TOLERANCE, name


def test_a_folder_written_here_opens_there(pair, tmp_path):
    ours, theirs, shape = pair
    ours.save(tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    inputs, targets = tokens_of(shape)
    with torch.no_grad():
        logits = forward(theirs, inputs, targets)[0]
        assert torch.equal(forward(again, inputs, targets)[0], logits), "not a bit was lost"
    assert difference(ours.logits(inputs), logits) <= TOLERANCE


def write_tokens(path, vocabulary, count):
    """A headerless file of 16-bit tokens."""
    tokens = np.random.default_rng(3).integers(0, vocabulary, count)
    tokens.astype("<u2").tofile(path)


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
    write_tokens(tmp_path / "tokens.bin", shape.vocabulary, 2000)
    # AdamW takes a gradient that is rounding noise for a direction, unless epsilon is larger.
    rate, clip, epsilon = 3e-3, 1.0, 1e-6
    trainer = cllm.Trainer(cllm.TrainConfig(
        data=tmp_path / "tokens.bin", vocab=shape.vocabulary, init=tmp_path / "start",
        out=tmp_path / "run", seq=shape.length, batch=shape.batch, steps=10, lr=rate, min_lr=rate,
        schedule="constant", warmup=0, weight_decay=0.1, beta1=0.9, beta2=0.99, epsilon=epsilon,
        clip=clip, workers=2))
    trained = [p for p in theirs.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in trained if p.dim() >= 2], "weight_decay": 0.1},
         {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0}],
        lr=rate, betas=(0.9, 0.99), eps=epsilon)
    clipped, first = 0, None
    for step in range(10):
        inputs, targets = tokens_of(shape, seed=step % 3)  # repeated, so that there is something
        loss = forward(theirs, inputs, targets)[1]         # to learn
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, clip).item()
        optimizer.step()
        report = trainer.step(inputs, targets)
        assert abs(report.loss - loss.item()) <= TOLERANCE, step
        assert report.grad_norm == pytest.approx(norm, rel=1e-4)
        clipped += norm > clip
        first = first or loss.item()
    assert clipped > 0, "clipping was tested too"
    assert loss.item() < first - 0.1, "the steps were not negligible"
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
