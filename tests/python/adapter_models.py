"""Models beside which tests train adapters, and what they say."""

import cllm
import numpy as np


def train(**keywords):
    cllm.Trainer(cllm.TrainConfig(**keywords)).run()


def model_of_bytes(folder, seed=1):
    """Saves a small model, and returns its folder."""
    model = cllm.Model.create(cllm.ModelConfig(layers=2, heads=2, dim=24, seq=16, vocab=257),
                              seed=seed, byte_tokens=True)
    model.save(folder)
    return folder


def beside(base, settings):
    """The settings of a run that trains adapters beside a model, which brings its own sizes."""
    sizes = ("layers", "heads", "dim")
    return {name: value for name, value in settings.items() if name not in sizes} | {
        "init": base, "lora": True, "lora_targets": ["c_attn"]}


def said_by(trainer):
    """What the adapted model makes of one token."""
    tokens = []
    trainer._generate(np.array([97], np.int32), tokens=20, temperature=0, top_k=0, top_p=1, seed=0,
                      known=0, on_token=lambda token: tokens.append(token) is None)
    assert len(tokens) == 20
    return tokens
