"""Token embedding and head that are trained whole beside adapters: a run goes on with them, goes
back, and starts from those of another.
"""

import shutil

import pytest
from adapter_models import beside, model_of_bytes, said_by, train

np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")


@pytest.fixture
def byte_base(tmp_path):
    return model_of_bytes(tmp_path / "base")


@pytest.fixture
def with_wte(settings, byte_base):
    """Keywords of a run that trains the embedding too."""
    return beside(byte_base, settings) | {"lora_modules_to_save": ["wte"]}


@pytest.mark.parametrize("kept", ["fp32", "bf16"])
def test_an_embedding_trained_beside_adapters_goes_on(with_wte, byte_base, tmp_path, kept):
    stored = tmp_path / "stored"
    cllm.Model.load(byte_base).save(stored, dtype="bf16")
    keywords = with_wte | {"init": stored, "base_dtype": kept}
    train(**keywords)
    final = keywords["out"] / "final/adapter_model.safetensors"
    train(resume=keywords["out"] / "checkpoints/step-00000010", out=tmp_path / "again", workers=3)
    assert (tmp_path / "again/final/adapter_model.safetensors").read_bytes() == final.read_bytes()
    trainer = cllm.Trainer(cllm.TrainConfig(**keywords | {"out": tmp_path / "third"}))
    before = trainer.parameters()["transformer.wte.weight"].copy()
    trainer.run()
    assert not np.array_equal(trainer.parameters()["transformer.wte.weight"], before)
    trained = cllm.Model.load(keywords["out"]).parameters()["transformer.wte.weight"]
    assert np.array_equal(trained, trainer.parameters()["transformer.wte.weight"])
    assert said_by(trainer) == list(cllm.Model.load(tmp_path / "third").generate(
        np.array([97], np.int32), tokens=20, temperature=0))


def test_a_rollback_to_the_start_takes_the_embedding_of_the_model(with_wte, byte_base, tmp_path):
    rates = {"lr": 1e-3, "min_lr": 1e-4}
    keywords = with_wte | {"save_every": 0, "eval_every": 0}
    train(**keywords | {name: rate / 2 for name, rate in rates.items()}
          | {"out": tmp_path / "halved"})

    def rolled_back(out, change=None):
        trainer, spoilt = cllm.Trainer(cllm.TrainConfig(**keywords | rates | {
            "out": out, "skip_limit": 3, "on_divergence": "rollback"})), []

        def spoil(report):
            if report.step == 4 and not spoilt:
                spoilt.append(True)
                trainer.parameters()["transformer.wte.weight"][3, 3] = np.nan
                if change:
                    change()

        trainer.run(on_step=spoil)

    rolled_back(tmp_path / "back")
    back, halved = ((tmp_path / name / "final/adapter_model.safetensors").read_bytes()
                    for name in ("back", "halved"))
    assert back == halved

    def replace_base():
        shutil.rmtree(byte_base)
        model_of_bytes(byte_base, seed=9)

    with pytest.raises(cllm.InputError, match="this is not the model beside which"):
        rolled_back(tmp_path / "other", replace_base)


def test_other_words_for_what_an_adapter_has_are_no_news(with_wte, tmp_path):
    train(**with_wte)
    more = with_wte | {"out": tmp_path / "more", "lora_init": with_wte["out"],
                       "lora_targets": "attn.c_attn", "lora_modules_to_save": "embeddings"}

    def told(**changes):
        notes = []
        cllm.Trainer(cllm.TrainConfig(**more | changes)).run(on_note=notes.append)
        return [note for note in notes if "lora" in note]

    assert not told()
    notes = told(out=tmp_path / "other", lora_targets="all-linear")
    assert len(notes) == 1 and "lora_targets" in notes[0] and "has c_attn" in notes[0]
