"""Coupled tokens: arrays of the lattice, gradients beside torch's, folded models, exact resume."""

import importlib
import json
import struct

import pytest
from conftest import needs

cllm = pytest.importorskip("cllm")
numpy = pytest.importorskip("numpy")
lattice = importlib.import_module("cllm.lattice")

EMBEDDING = "transformer.wte.weight"
SHAPE = {"layers": 2, "heads": 2, "dim": 32, "seq": 16, "batch": 6, "lattice": True}


def arrays(trainer):
    return {name: array.copy() for name, array in trainer.parameters().items()}


def saved(folder, file="model.safetensors"):
    """The tensors of a file, by name."""
    content = (folder / file).read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    found = {}
    for name, entry in json.loads(content[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + at for at in entry["data_offsets"])
            found[name] = numpy.frombuffer(content[begin:end], "<f4").reshape(entry["shape"])
    return found


# -- arrays -------------------------------------------------------------------------------------

@pytest.mark.parametrize("symmetry", [1, 2, 5, 6, 12, 24])
@pytest.mark.parametrize("vocab", [1, 2, 13, 101, 257])
def test_every_token_has_its_neighbours(vocab, symmetry):
    found = lattice.neighbours(vocab, symmetry)
    assert found.shape == (vocab, symmetry)
    assert found.min() >= 0
    assert found.max() < vocab
    itself = found == numpy.arange(vocab)[:, None]
    assert itself.all() if vocab == 1 else not itself.any()
    assert lattice.groups(vocab, symmetry).tolist() == [t % symmetry for t in range(vocab)]
    assert lattice.rings(vocab, symmetry).tolist() == [t // symmetry for t in range(vocab)]


def test_a_token_in_the_middle():
    # Ring 3, group 1 of a vocabulary whose last ring is the fifth.
    assert lattice.neighbours(53)[37].tolist() == [25, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 36]
    assert lattice.neighbours(53)[52].tolist() == [40, *range(41, 48), 48, 49, 50, 51]


def test_effective_embedding_is_the_sum():
    random = numpy.random.default_rng(1)
    embedding, w = random.normal(size=(30, 4)), random.normal(size=5)
    found = lattice.effective_embedding(embedding, w)
    others = lattice.neighbours(30, 5)
    for token in range(30):
        wanted = embedding[token] + sum(w[d] * embedding[others[token, d]] for d in range(5))
        assert numpy.allclose(found[token], wanted)


def test_what_is_no_lattice_is_refused():
    for call in (lambda: lattice.groups(0), lambda: lattice.rings(5, 0),
                 lambda: lattice.neighbours(-1), lambda: lattice.neighbours(5, 1 << 20)):
        with pytest.raises(cllm.InputError, match=r"expected|1 to"):
            call()
    with pytest.raises(cllm.InputError, match=r"\[3\] and \[2\]"):
        lattice.effective_embedding([1, 2, 3], [1, 2])


# -- training -----------------------------------------------------------------------------------

def coupled(settings, seed=3, **more):
    """A trainer whose coefficients are not 0."""
    trainer = cllm.Trainer(cllm.TrainConfig(**{**SHAPE, **settings, **more}))
    random = numpy.random.default_rng(seed)
    w = trainer.parameters()["lattice.w"]
    w[:] = random.normal(scale=0.2, size=len(w))
    return trainer


@pytest.mark.parametrize("precision, tolerance", [("fp32", 1e-4), ("bf16", 2e-2)])
@pytest.mark.parametrize("symmetry", [1, 5, 12])
@needs("torch", "transformers")
def test_gradients_are_those_of_torch(precision, tolerance, symmetry):
    torch, transformers = (importlib.import_module(name) for name in ("torch", "transformers"))
    random = numpy.random.default_rng(7)
    vocab, tokens = 101, random.integers(0, 101, (6, 17))
    trainer = coupled({"data": tokens.ravel(), "vocab": vocab, "symmetry": symmetry,
                       "precision": precision, "val": ""}, out="", lr=0.0, min_lr=0.0)
    for array in trainer.parameters().values():
        array += random.normal(scale=0.05, size=array.shape).astype("f4")
    tensors = {name: torch.tensor(array, requires_grad=True)
               for name, array in arrays(trainer).items()}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=32, n_positions=16, vocab_size=vocab, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0))
    rows, w = tensors[EMBEDDING], tensors["lattice.w"]
    others = torch.from_numpy(lattice.neighbours(vocab, symmetry).astype("i8"))
    folded = rows + torch.einsum("d,tdc->tc", w, rows[others])
    used = {name: tensor for name, tensor in tensors.items() if name != "lattice.w"}
    used |= {EMBEDDING: folded, "lm_head.weight": folded}
    inputs, targets = (torch.from_numpy(numpy.ascontiguousarray(part))
                       for part in (tokens[:, :-1], tokens[:, 1:]))
    logits = torch.func.functional_call(model, used, (inputs,)).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    report = trainer.step(tokens[:, :-1], tokens[:, 1:])
    assert report.loss == pytest.approx(loss.item(), rel=tolerance)
    gradients = trainer.gradients()
    assert gradients.keys() == tensors.keys()
    for name, found in gradients.items():
        wanted = tensors[name].grad.numpy()
        assert numpy.abs(found - wanted).max() <= tolerance * numpy.abs(wanted).max(), name


def test_saved_models_hold_the_effective_embedding(settings, tmp_path):
    trainer = coupled(settings, steps=4)
    for _ in range(3):
        trainer.step()
    before = trainer.evaluate(settings["data"]).val_loss
    trainer.save(tmp_path / "model")
    inner = arrays(trainer)
    files = saved(tmp_path / "model")
    assert "lattice.w" not in files
    assert inner.keys() == files.keys() | {"lattice.w"}
    wanted = lattice.effective_embedding(inner[EMBEDDING], inner["lattice.w"])
    assert numpy.allclose(files[EMBEDDING], wanted, atol=1e-6)
    assert not numpy.allclose(files[EMBEDDING], inner[EMBEDDING], atol=1e-3)
    state = saved(tmp_path / "model", "optimizer.safetensors")
    assert numpy.array_equal(state["lattice.embedding"], inner[EMBEDDING])
    assert numpy.array_equal(state["lattice.w"], inner["lattice.w"])
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert "lattice" not in json.dumps(config)
    model = cllm.Model.load(tmp_path / "model")
    assert numpy.array_equal(model.parameters()[EMBEDDING], files[EMBEDDING])
    assert trainer.evaluate(settings["data"]).val_loss == before
    assert model.evaluate(settings["data"]).val_loss == pytest.approx(before, rel=1e-6)


@needs("torch", "transformers")
def test_transformers_opens_a_saved_model(settings, tmp_path):
    torch, transformers = (importlib.import_module(name) for name in ("torch", "transformers"))
    trainer = coupled(settings, steps=4)
    trainer.step()
    trainer.save(tmp_path / "model")
    tokens = numpy.arange(16)[None, :] + 60
    ours = cllm.Model.load(tmp_path / "model").logits(tokens)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    with torch.no_grad():
        assert numpy.allclose(ours, theirs(torch.from_numpy(tokens)).logits.numpy(), atol=1e-4)


def test_a_run_resumes_exactly_on_other_workers(settings, tmp_path):
    config = {**SHAPE, **settings, "steps": 8, "save_every": 4, "out": tmp_path / "run",
              "workers": 1}
    cllm.Trainer(cllm.TrainConfig(**config)).run()
    resumed = cllm.Trainer(cllm.TrainConfig(resume=tmp_path / "run/checkpoints/step-00000004",
                                            out=tmp_path / "again", workers=3))
    resumed.run()
    for file in ("model.safetensors", "optimizer.safetensors"):
        first, second = (saved(tmp_path / run / "final", file) for run in ("run", "again"))
        assert first.keys() == second.keys()
        for name, array in first.items():
            assert numpy.array_equal(array, second[name]), name
    assert numpy.abs(saved(tmp_path / "run/final", "optimizer.safetensors")["lattice.w"]).max() > 0


def test_a_run_that_starts_from_a_folded_model_begins_at_zero(settings, tmp_path):
    trainer = coupled(settings, steps=4)
    trainer.save(tmp_path / "model")
    fresh = cllm.Trainer(cllm.TrainConfig(**{**SHAPE, **settings, "init": tmp_path / "model",
                                             "steps": 4, "out": tmp_path / "next"}))
    inner = fresh.parameters()
    assert not inner["lattice.w"].any()
    assert numpy.array_equal(inner[EMBEDDING], saved(tmp_path / "model")[EMBEDDING])


def test_the_first_step_is_that_of_no_lattice(settings):
    losses = [cllm.Trainer(cllm.TrainConfig(**{**SHAPE, **settings, "lattice": on})).step().loss
              for on in (False, True)]
    assert losses[0] == losses[1]
