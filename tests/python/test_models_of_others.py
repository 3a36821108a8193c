"""Model folders of other people: generated from as transformers does, copied with what they hold.

The folders are made here with torch and transformers; where these are missing the tests skip.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CASES, needs

pytestmark = needs("cllm", "numpy", "torch", "transformers", "tokenizers")
np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

DONE, BAD_INPUT = 0, 2
SENTENCE = "The ferryman whistled a tune by the canal."
CARRIED = ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]


def run(*words, folder):
    process = subprocess.run([sys.executable, "-m", "cllm", *map(str, words)], cwd=folder,
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=300,
                             check=False)
    return process.returncode, process.stdout.decode(), process.stderr.decode()


def words_tokenizer():
    """Byte-level words of one sentence; id 0 ends a text."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([SENTENCE] * 5, trainer)
    return tokenizer


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A model that has learnt the sentence and its end by heart. Of its 320 ids 20 are nobody's."""
    folder = tmp_path_factory.mktemp("learnt") / "model"
    torch.manual_seed(0)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words_tokenizer(),
                                                eos_token="<|endoftext|>",
                                                bos_token="<|endoftext|>")
    config = transformers.GPT2Config(vocab_size=320, n_positions=32, n_embd=16, n_layer=1, n_head=2,
                                     bos_token_id=0, eos_token_id=0, resid_pdrop=0, embd_pdrop=0,
                                     attn_pdrop=0, pad_token_id=0)
    model = transformers.GPT2LMHeadModel(config)
    ids = torch.tensor([[*fast.encode(SENTENCE), 0, *fast.encode(SENTENCE)[:4]]])
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = model(ids, labels=ids).loss
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture
def model(learnt, tmp_path):
    return Path(shutil.copytree(learnt, tmp_path / "model"))


def change(path, **values):
    content = json.loads(path.read_text())
    content.update(values)
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


def weights_of(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def save_weights(folder, tensors):
    from safetensors.torch import save_file

    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def continuation(folder, prompt="The ferryman", *words):
    code, out, err = run("generate", "--model", folder, "--prompt", prompt, "--tokens", 40,
                         "--temperature", 0, *words, folder=folder)
    assert code == DONE and err == "", err
    return out.removesuffix("\n")


def test_generation_ends_where_transformers_ends(model):
    loaded = transformers.AutoModelForCausalLM.from_pretrained(model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    start = tokenizer("The ferryman", return_tensors="pt")
    theirs = loaded.generate(**start, max_new_tokens=40, do_sample=False)[0]
    assert theirs[-1] == 0, "the model has learnt to end"
    assert continuation(model) == tokenizer.decode(theirs, skip_special_tokens=True) == SENTENCE
    ours = cllm.Model.load(model)
    assert ours.end_tokens == [0]
    found = ours.generate(start["input_ids"][0].tolist(), tokens=40, temperature=0)
    assert [*start["input_ids"][0].tolist(), *found, 0] == theirs.tolist()


def test_end_tokens_of_either_file(model):
    prompt = cllm.Model.load(model)
    full = prompt.generate([5], tokens=10, temperature=0).tolist()
    change(model / "generation_config.json", eos_token_id=[full[3], 310])
    loaded = cllm.Model.load(model)
    assert loaded.end_tokens == [full[3], 310]
    found = loaded.generate([5], tokens=10, temperature=0).tolist()
    assert found == full[:full.index(full[3])]
    (model / "generation_config.json").unlink()
    assert cllm.Model.load(model).end_tokens == [0]
    change(model / "config.json", eos_token_id=...)
    assert cllm.Model.load(model).end_tokens == []
    change(model / "config.json", eos_token_id="end")
    with pytest.raises(cllm.InputError, match="eos_token_id"):
        cllm.Model.load(model)


def test_padding_and_truncation_of_a_tokenizer_file_are_not_for_prompts(model):
    tokenizer = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.enable_padding(length=24, pad_id=0, pad_token="<|endoftext|>")
    tokenizer.enable_truncation(2)
    tokenizer.save(str(model / "tokenizer.json"))
    assert continuation(model) == SENTENCE
    assert continuation(model, "The ferryman whistled a tune by the") == SENTENCE


def test_ids_that_no_tokenizer_knows_are_not_drawn(model):
    tensors = weights_of(model)
    name = next(n for n in tensors if n.endswith("wte.weight"))
    final = next(t for n, t in tensors.items() if n.endswith("ln_f.bias"))
    tensors[name][310] = 50 * final  # of all the best next token
    save_weights(model, tensors)
    loaded = cllm.Model.load(model)
    assert 310 in loaded.generate([5], tokens=3, temperature=0)
    assert 310 not in loaded.generate([5], tokens=30, temperature=2.0, known=300)
    assert continuation(model) == SENTENCE
    with pytest.raises(cllm.InputError, match="known"):
        loaded.generate([5], known=-1)


def test_a_head_of_its_own_is_read_where_it_may_be(model):
    tensors = weights_of(model)
    name = next(n for n in tensors if n.endswith("wte.weight"))
    head = tensors[name].clone()
    save_weights(model, tensors | {"lm_head.weight": head})
    tied = cllm.Model.load(model).logits([[1, 2, 3]])
    head[3] += 1
    for value in (True, ...):
        change(model / "config.json", tie_word_embeddings=value)
        save_weights(model, tensors | {"lm_head.weight": head})
        with pytest.raises(cllm.InputError, match="head of its own"):
            cllm.Model.load(model)
        code, out, err = run("generate", "--model", model, folder=model)
        assert (code, out, err.count("\n")) == (BAD_INPUT, "", 1)
    change(model / "config.json", tie_word_embeddings=False)
    differ = (cllm.Model.load(model).logits([[1, 2, 3]]) != tied).any(axis=(0, 1))
    assert differ.nonzero()[0].tolist() == [3]


def expect_carried(source, copy):
    for name in CARRIED:
        assert (copy / name).read_bytes() == (source / name).read_bytes(), name
    before, after = (json.loads((f / "config.json").read_text()) for f in (source, copy))
    for key in before.keys() - {"dtype"}:
        assert after[key] == before[key], key
    mine, yours = (transformers.AutoTokenizer.from_pretrained(f) for f in (source, copy))
    assert mine.get_vocab() == yours.get_vocab() and mine.eos_token == yours.eos_token
    assert mine.encode(SENTENCE) == yours.encode(SENTENCE)
    config = transformers.AutoConfig.from_pretrained(copy)
    assert (config.eos_token_id, config.bos_token_id, config.pad_token_id) == (0, 0, 0)
    transformers.AutoModelForCausalLM.from_pretrained(copy)


def test_a_saved_copy_is_whole(model, tmp_path):
    (model / "chat_template.jinja").write_text("{{ messages }}\n")
    cllm.Model.load(model).save(tmp_path / "copy")
    expect_carried(model, tmp_path / "copy")
    assert (tmp_path / "copy/chat_template.jinja").read_text() == "{{ messages }}\n"
    mine, yours = weights_of(model), weights_of(tmp_path / "copy")
    for name, tensor in yours.items():
        assert torch.equal(tensor, mine[name]), name
    cllm.Model.load(tmp_path / "copy").save(tmp_path / "again")
    for file in (tmp_path / "copy").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name
    assert continuation(tmp_path / "again") == SENTENCE


@pytest.fixture
def tuning(model, tmp_path):
    """Settings that train on from the model, on its tokens."""
    ids = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json")).encode(SENTENCE * 40).ids
    np.array(ids, "<u2").tofile(tmp_path / "tokens.bin")
    return {"data": tmp_path / "tokens.bin", "vocab": 320, "init": model, "out": tmp_path / "run",
            "seq": 16, "batch": 3, "steps": 4, "save_every": 2, "workers": 2, "lr": 1e-4}


def test_training_carries_the_files_along(model, tuning, tmp_path):
    config = cllm.TrainConfig(**tuning)
    cllm.Trainer(config).run()
    for folder in ("checkpoints/step-00000002", "final"):
        expect_carried(model, tmp_path / "run" / folder)
    assert continuation(tmp_path / "run") == SENTENCE

    # A run that goes on takes them from its checkpoint: the first folder may have changed since.
    (model / "tokenizer.json").write_text("{}")
    shutil.rmtree(tmp_path / "run/final")
    trainer = cllm.Trainer(cllm.configure([("resume", str(tmp_path / "run"))]))
    trainer.save(tmp_path / "saved")
    assert (tmp_path / "saved/tokenizer.json").read_bytes() == (
        tmp_path / "run/checkpoints/step-00000002/tokenizer.json").read_bytes()


def test_init_takes_a_run_as_model_does(tuning, tmp_path):
    cllm.Trainer(cllm.TrainConfig(**tuning)).run()
    final = cllm.Model.load(tmp_path / "run").parameters()
    again = cllm.Trainer(cllm.TrainConfig(
        **tuning | {"init": tmp_path / "run", "out": tmp_path / "again"}))
    for name, values in again.parameters().items():
        assert np.array_equal(values, final[name]), name
    with pytest.raises(cllm.InputError, match="final/ or checkpoints"):
        cllm.Trainer(cllm.TrainConfig(**tuning | {"init": tmp_path, "out": tmp_path / "other"}))


@pytest.mark.skipif(not CASES.exists(), reason=f"without {CASES}")
def test_given_cases():
    start = "The ferryman whistled a tune by the"
    assert continuation(CASES / "31-hf-tokenizer-pads", start) == start + " canal."
    loaded = cllm.Model.load(CASES / "38-hf-eos")
    assert loaded.end_tokens == [0]
    assert continuation(CASES / "38-hf-eos", "The").endswith(".")
    with pytest.raises(cllm.InputError, match="head of its own"):
        cllm.Model.load(CASES / "24b-hf-head-differs")
