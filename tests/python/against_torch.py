"""What tests share that compare a model with the same one in PyTorch and transformers. Only those
that have both may import it."""

import warnings

import cllm
import numpy as np
import torch
import transformers

# -- their side ---------------------------------------------------------------------------------

def stirred(model, by=0.05):
    """The model with every parameter, norms and biases too, a number of its own."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn_like(parameter))
    return model


def opened(folder, caplog=None, **options):
    """The model of a folder, which opens without a word."""
    if caplog is not None:
        caplog.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformers.AutoConfig.from_pretrained(folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, **options).eval()
    assert caplog is None or not caplog.records, "transformers warns through logging"
    return model


def tensor(array):
    """Of any array, such as a part of one."""
    return torch.from_numpy(np.ascontiguousarray(array))


def forward(model, inputs, targets):
    """Logits and mean loss as tensors of torch."""
    logits = model(tensor(inputs)).logits
    return logits, torch.nn.functional.cross_entropy(logits.flatten(0, 1),
                                                     tensor(targets).flatten())


def step(model, optimizer, clip, inputs, targets):
    """One step of training: the loss before it and the norm of the gradient."""
    loss = forward(model, inputs, targets)[1]
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(
        [p for group in optimizer.param_groups for p in group["params"]], clip)
    optimizer.step()
    return loss.item(), norm.item()


def until_end(tokens, ends):
    """Generated tokens as CLLM returns them: without the end of the text and what comes after."""
    at = [i for i, token in enumerate(tokens) if token in ends]
    return tokens[:at[0]] if at else tokens


# -- both sides ---------------------------------------------------------------------------------

def tokens_of(seed, vocabulary, batch, length, first=0):
    """inputs[B, T] and targets[B, T], of tokens from `first` on."""
    tokens = np.random.default_rng(seed).integers(first, vocabulary, (batch, length + 1))
    return tokens[:, :-1], tokens[:, 1:]


def write_tokens(path, vocabulary, first=0):
    """A file of tokens, for runs whose steps are given theirs."""
    np.random.default_rng(3).integers(first, vocabulary, 2000).astype("<u2").tofile(path)
    return path


def difference(found, expected):
    """The largest one over the largest magnitude."""
    expected = expected.detach().numpy()
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def differences(ours, theirs, inputs, targets):
    """Those of logits, loss and every gradient, by name."""
    logits, loss = forward(theirs, inputs, targets)
    theirs.zero_grad()
    loss.backward()
    our_loss, gradients = ours.loss_and_gradients(inputs, targets)
    expected = dict(theirs.named_parameters())
    assert gradients.keys() == expected.keys()
    return {"logits": difference(ours.logits(inputs), logits),
            "loss": abs(our_loss - loss.item()) / loss.item(),
            **{name: difference(gradient, expected[name].grad)
               for name, gradient in gradients.items()}}


def same_training(folder, tmp_path, model, vocabulary, batch, length, *, rate, first=0, clip=1.0,
                  epsilon=1e-6, **others):
    """A trainer and an optimizer that take ten steps of AdamW from the same weights. AdamW takes a
    gradient that is rounding noise for a direction, unless epsilon is larger."""
    trainer = cllm.Trainer(cllm.TrainConfig(
        data=write_tokens(tmp_path / "tokens.bin", vocabulary, first), vocab=vocabulary,
        init=folder, out=tmp_path / "run", seq=length, batch=batch, steps=10, lr=rate, min_lr=rate,
        schedule="constant", warmup=0, weight_decay=0.1, beta1=0.9, beta2=0.99, epsilon=epsilon,
        clip=clip, **others))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in trained if p.dim() >= 2], "weight_decay": 0.1},
         {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0}],
        lr=rate, betas=(0.9, 0.99), eps=epsilon)
    return trainer, optimizer
