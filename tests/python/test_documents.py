"""Targets that are not counted and several documents in a sequence, against PyTorch and
transformers: loss, every gradient, ten steps; and what is refused.

Environment: CLLM_REQUIRE_PARITY=1 turns what would be skipped into a failure.
"""

import importlib.util
import os

import cllm
import numpy as np
import pytest

MISSING = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
if MISSING and os.environ.get("CLLM_REQUIRE_PARITY") == "1":
    raise ImportError(f"CLLM_REQUIRE_PARITY=1 and these are not installed: {', '.join(MISSING)}")
parity = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)}: not installed")

FAMILIES = ("gpt2", "llama", "qwen2", "qwen3")
VOCABULARY, LENGTH, BATCH = 101, 90, 3
TOLERANCE = 1e-4  # largest difference over the tensor's largest magnitude
NOT_COUNTED = -1


def packed_batch(seed):
    """inputs, targets and first_keys, [B, T] each, with documents of 1 to 40 tokens."""
    random = np.random.default_rng(seed)
    inputs, targets = random.integers(0, VOCABULARY, (2, BATCH, LENGTH))
    first_keys = np.zeros((BATCH, LENGTH), np.int32)
    for b in range(BATCH):
        begin = 0
        while begin < LENGTH:
            end = min(LENGTH, begin + int(random.integers(1, 41)))
            first_keys[b, begin:end] = begin
            targets[b, begin:begin + (end - begin) // 3] = NOT_COUNTED
            begin = end
    return inputs, targets, first_keys


def their_model(family):
    """A random model of transformers."""
    import torch
    import transformers
    from against_torch import stirred
    torch.manual_seed(3)
    if family == "gpt2":
        config = transformers.GPT2Config(
            n_layer=2, n_head=4, n_embd=48, n_positions=LENGTH, vocab_size=VOCABULARY,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0)
    else:
        kind = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config,
                "qwen3": transformers.Qwen3Config}[family]
        config = kind(
            num_hidden_layers=2, hidden_size=48, intermediate_size=90, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=LENGTH, vocab_size=VOCABULARY,
            head_dim=12, tie_word_embeddings=family != "llama", bos_token_id=0, eos_token_id=0)
    return stirred(transformers.AutoModelForCausalLM.from_config(config).eval())


def their_loss(model, inputs, targets, first_keys):
    """The mean loss, with positions that begin again and a mask of blocks along the diagonal."""
    import torch
    from against_torch import tensor
    rows = np.arange(LENGTH)
    same = first_keys[:, :, None] == first_keys[:, None, :]
    seen = same & (rows[:, None] >= rows[None, :])
    mask = torch.zeros(BATCH, 1, LENGTH, LENGTH)
    mask.masked_fill_(~tensor(seen)[:, None], torch.finfo(torch.float32).min)
    logits = model(tensor(inputs), attention_mask=mask,
                   position_ids=tensor(rows[None] - first_keys).long()).logits
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), tensor(targets).flatten(), ignore_index=NOT_COUNTED)


@parity
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_every_gradient(family, tmp_path):
    from against_torch import difference
    theirs = their_model(family)
    theirs.save_pretrained(tmp_path / "model")
    ours = cllm.Model.load(tmp_path / "model")
    batch = packed_batch(5)
    loss, gradients = ours.loss_and_gradients(*batch)
    expected = their_loss(theirs, *batch)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    named = dict(theirs.named_parameters())
    assert gradients.keys() == named.keys()
    for name, gradient in gradients.items():
        assert difference(gradient, named[name].grad) <= TOLERANCE, name


@parity
@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_ten_steps_of_adamw(family, tmp_path):
    from against_torch import difference, same_training
    theirs = their_model(family)
    theirs.save_pretrained(tmp_path / "start")
    trainer, optimizer = same_training(tmp_path / "start", tmp_path, theirs, VOCABULARY, BATCH,
                                       LENGTH, rate=1e-3, clip=0.0, workers=2)
    for i in range(10):
        batch = packed_batch(i)
        loss = their_loss(theirs, *batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        report = trainer.step(*batch)
        assert report.loss == pytest.approx(loss.item(), rel=TOLERANCE), i
        assert report.trained_tokens == np.count_nonzero(batch[1] != NOT_COUNTED)
    for name, parameter in theirs.named_parameters():
        if not name.endswith("c_attn.bias"):  # that of keys has a gradient of noise
            assert difference(trainer.parameters()[name], parameter) <= TOLERANCE, name


@pytest.fixture(scope="module")
def model():
    return cllm.Model(cllm.ModelConfig(layers=1, heads=2, dim=16, seq=LENGTH, vocab=VOCABULARY))


def test_a_target_that_is_not_counted_changes_nothing(model):
    inputs, targets, first_keys = packed_batch(1)
    whole = cllm.Model.loss_and_gradients(model, inputs[:1], targets[:1], first_keys[:1])
    targets[1:] = NOT_COUNTED
    masked = model.loss_and_gradients(inputs, targets, first_keys)
    assert masked[0] == pytest.approx(whole[0], rel=1e-6)
    for name, gradient in masked[1].items():
        np.testing.assert_allclose(gradient, whole[1][name], rtol=0,
                                   atol=1e-6 * np.abs(whole[1][name]).max())


def test_what_is_refused(model):
    inputs, targets, first_keys = packed_batch(2)
    for bad in (-2, VOCABULARY):
        wrong = targets.copy()
        wrong[1, 7] = bad
        with pytest.raises(cllm.InputError, match=rf"targets\[1, 7\].*got {bad}.*-1"):
            model.loss_and_gradients(inputs, wrong)
    wrong = inputs.copy()
    wrong[0, 3] = NOT_COUNTED
    with pytest.raises(cllm.InputError, match=r"inputs\[0, 3\]"):
        model.loss_and_gradients(wrong, targets)
    with pytest.raises(cllm.InputError, match="no target is counted"):
        model.loss_and_gradients(inputs, np.full_like(targets, NOT_COUNTED))
    for at, value in (((0, 0), 1), ((0, 0), -1), ((2, 9), 10), ((1, 80), 3)):
        keys = np.zeros_like(first_keys)
        keys[at] = value
        with pytest.raises(cllm.InputError, match=rf"first_keys\[{at[0]}, {at[1]}\].*got {value}"):
            model.loss_and_gradients(inputs, targets, keys)
    with pytest.raises(cllm.InputError, match="first_keys have another shape"):
        model.loss_and_gradients(inputs, targets, first_keys[:, 1:])


def test_a_step_without_a_target_is_skipped(tmp_path):
    np.arange(2000, dtype="<u2").__mod__(VOCABULARY).tofile(tmp_path / "tokens.bin")
    trainer = cllm.Trainer(cllm.TrainConfig(
        data=tmp_path / "tokens.bin", vocab=VOCABULARY, layers=1, heads=2, dim=16, seq=LENGTH,
        batch=BATCH, steps=5, warmup=2, quiet=True))
    inputs, targets, first_keys = packed_batch(3)
    before, rate = trainer.weights_hash(), trainer.learning_rate
    report = trainer.step(inputs, np.full_like(targets, NOT_COUNTED), first_keys)
    assert report.skipped and report.trained_tokens == 0 and np.isnan(report.loss)
    assert trainer.weights_hash() == before
    assert trainer.steps_done == 1 and trainer.learning_rate != rate
    with pytest.raises(cllm.CllmError, match="there is no gradient"):
        trainer.gradients()
    report = trainer.step(inputs, targets, first_keys)
    assert not report.skipped and report.trained_tokens == np.count_nonzero(targets >= 0)
    assert trainer.weights_hash() != before
    assert trainer.gradients()
