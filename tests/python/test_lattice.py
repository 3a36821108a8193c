"""Coupled tokens: arrays of the lattice, gradients beside torch's, folded models, exact resume."""

import importlib
import json
import os
import signal
import struct
from types import SimpleNamespace

import pytest
from conftest import ROOT, needs

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


def test_whole_numbers_are_coupled_too():
    embedding, w = numpy.arange(60).reshape(30, 2), numpy.array([0.5, 0.25, -1])
    wanted = lattice.effective_embedding(embedding.astype("f4"), w.astype("f4"))
    for rows, factors in ((embedding, w), (embedding.astype("u1"), w), (embedding.tolist(), w)):
        found = lattice.effective_embedding(rows, factors)
        assert found.dtype == numpy.float32
        assert numpy.array_equal(found, wanted)
    whole = lattice.effective_embedding(embedding, [1, 0, 2])
    first, _, third = (embedding[others] for others in lattice.neighbours(30, 3).T)
    assert numpy.array_equal(whole, embedding + first + 2 * third)
    assert lattice.effective_embedding(embedding.astype("f8"), w).dtype == numpy.float64
    for rows, factors, name in ((embedding * 1j, w, "embedding"), ([["a", "b"]], w, "embedding"),
                                (embedding, [None], "w")):
        with pytest.raises(cllm.InputError, match=f"^{name}: not an array of numbers: got"):
            lattice.effective_embedding(rows, factors)


@pytest.mark.parametrize("vocab, symmetry", [(1, 12), (13, 12), (53, 12), (30, 5)])
def test_the_neighbours_of_one_token(vocab, symmetry):
    found = lattice.neighbours(vocab, symmetry)
    for token in range(vocab):
        assert numpy.array_equal(lattice.neighbours_of(token, vocab, symmetry), found[token])
    for token in (-1, vocab):
        with pytest.raises(cllm.InputError, match=f"token: out of range: got {token}"):
            lattice.neighbours_of(token, vocab, symmetry)


def test_the_clock_takes_the_neighbours_that_it_draws(monkeypatch):
    clock = importlib.import_module("cllm._clock")
    monkeypatch.setattr(lattice, "neighbours", None)
    tokens = clock.Tokens(1 << 24, None)  # all neighbours would take 0.8 GB
    drawing = "".join(clock.draw(tokens, 12, 1 << 23))
    assert drawing.count(clock.KISSED) == 24, "a line and a dot for each"


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


# -- saving -------------------------------------------------------------------------------------

def expect_folded(folder):
    """A checkpoint whose model is what its trainer state makes."""
    state = saved(folder, "optimizer.safetensors")
    wanted = lattice.effective_embedding(state["lattice.embedding"], state["lattice.w"])
    assert numpy.allclose(saved(folder)[EMBEDDING], wanted, atol=1e-6)
    return state


def test_what_callbacks_write_before_a_save_is_in_it(settings, tmp_path):
    trainer = coupled(settings, steps=3, save_every=2, eval_every=0)
    moved, written = tmp_path / "moved", []

    def move(report):
        if report.step == 2:
            settings["out"].rename(moved)

    def write(note):
        if "was renamed" in note:
            trainer.parameters()["lattice.w"][:] = 0.75
            written.append(note)

    trainer.run(on_step=move, on_note=write)
    assert len(written) == 1
    state = expect_folded(moved / "checkpoints/step-00000002")
    assert (state["lattice.w"] == 0.75).all(), "it was written before the save"
    expect_folded(moved / "final")


def test_a_forked_child_can_save(settings, tmp_path):
    trainer = coupled(settings, steps=4)
    trainer.step()
    trainer.parameters()["lattice.w"][:] = 0.25
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        try:
            trainer.save(tmp_path / "model")
            os._exit(0)
        except BaseException:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    expect_folded(tmp_path / "model")


def test_coefficients_do_not_widen_what_is_saved(settings, tmp_path):
    trainer = coupled(settings, steps=4, save_dtype="fp16")
    tensors = trainer.parameters()
    tensors[EMBEDDING][:] *= 1e-6
    tensors["lattice.w"][:] = 1e5
    trainer.save(tmp_path / "narrow")
    assert json.loads((tmp_path / "narrow/config.json").read_text())["dtype"] == "float16"
    tensors["transformer.ln_f.bias"][3] = 1e6
    with pytest.warns(cllm.CllmWarning, match=r"as fp32, not as fp16: transformer\.ln_f\.bias"):
        trainer.save(tmp_path / "wide")
    assert json.loads((tmp_path / "wide/config.json").read_text())["dtype"] == "float32"


def test_a_run_says_once_that_it_saves_wider_weights(settings):
    notes = []
    trainer = cllm.Trainer(cllm.TrainConfig(**settings | {"steps": 6, "save_every": 2, "lr": 0.0,
                                                          "min_lr": 0.0, "save_dtype": "fp16"}))
    trainer.parameters()["transformer.ln_f.bias"][3] = 1e5
    trainer.run(on_note=notes.append)
    assert len([note for note in notes if "saved as fp32, not as fp16" in note]) == 1, notes


# -- reports ------------------------------------------------------------------------------------

# Small embeddings and large coefficients: E' and its gradient are moderate, that of E is not.
def test_a_gradient_that_is_not_finite_is_the_one_of_the_embedding(settings):
    notes = []
    trainer = cllm.Trainer(cllm.TrainConfig(**{**SHAPE, **settings, "steps": 1, "warmup": 0,
                                               "out": "", "val": ""}))
    tensors = trainer.parameters()
    tensors[EMBEDDING][:] *= 1e-36
    tensors["lattice.w"][:] = 0
    tensors["lattice.w"][0] = 1e36
    tensors["transformer.ln_f.weight"][:] = 1e4
    with pytest.raises(cllm.CllmError, match="every update was skipped"):
        trainer.run(on_note=notes.append)
    assert any(f"the gradient is not finite, first in {EMBEDDING}" in note for note in notes), notes


def test_a_record_of_rings_has_few_lines(settings, tmp_path):
    tokens = numpy.random.default_rng(5).integers(0, 60000, 4000)
    trainer = cllm.Trainer(cllm.TrainConfig(**{
        **settings, **SHAPE, "data": tokens, "vocab": 60000, "symmetry": 1, "dim": 8, "val": "",
        "steps": 3, "eval_every": 0, "save_every": 0, "out": tmp_path / "run"}))
    trainer.run()
    lines = [json.loads(line) for line in (tmp_path / "run/rings.jsonl").read_text().splitlines()]
    assert len(lines) <= 64
    assert sum(line["tokens"] for line in lines) == 3 * 6 * 16
    assert max(line["ring"] + line["rings"] for line in lines) <= 60000
    assert [report.to_dict() for report in trainer.rings()] == [
        {name: line[name] for name in line if name != "step"} for line in lines]


# -- benchmarks ---------------------------------------------------------------------------------

def test_options_after_two_dashes_are_those_of_the_program(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    compare = importlib.import_module("compare_routing")
    asked = []

    def train(words, out, *_):
        asked.append(words)
        out.mkdir()
        step = {"loss": 1.0, "tokens_per_s": 5.0, "late": False}
        (out / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for _ in range(12)))
        (out / "groups.jsonl").write_text(json.dumps({"moved": 1, "sequences": 2}) + "\n")

    monkeypatch.setattr(compare, "train", train)
    monkeypatch.setattr(compare, "shutil", SimpleNamespace(which=lambda _: None))
    monkeypatch.setattr("sys.argv", ["compare_routing.py", "text", "--rounds", "1", "--", "--steps",
                                     "30", "--dim", "16"])
    assert compare.main() == 0
    assert len(asked) == 2
    for words in asked:
        assert words[:-2] == ["--data", "text", "--steps", "30", "--dim", "16",
                              "--positions", "12", "--batch", "48"], "each option once"
    assert "symmetry" in capsys.readouterr().out


def test_misses_are_those_that_cachegrind_says(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    compare = importlib.import_module("compare_routing")
    assert compare.data_misses(
        "==7== I1  misses:         37,691\n"
        "==7== LLi misses:         11,506\n==7== \n"
        "==7== D   refs:      206,936,930  (198,253,424 rd   + 8,683,506 wr)\n"
        "==7== D1  misses:     24,777,129  ( 24,280,075 rd   +   497,054 wr)\n"
        "==7== LLd misses:        214,842  (     24,248 rd   +   190,594 wr)\n"
        "==7== LL misses:         226,348  (     35,754 rd   +   190,594 wr)\n",
    ) == (24777129, 214842)
