"""LoRA through trainer and files: what PEFT trains is trained here, its adapters load here and ours
there, and what an adapter cannot be is refused.

Where torch or peft is missing, the comparisons with them skip.
"""

import json
import shutil

import pytest
from adapter_models import beside, model_of_bytes, said_by, train
from conftest import needs

np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")

VOCABULARY, LENGTH, BATCH = 101, 24, 3
PREFIX = "base_model.model."
FAMILIES = ("gpt2", "llama", "qwen2", "qwen3")
with_peft = needs("torch", "transformers", "peft")


def config_of(family):
    import transformers

    if family == "gpt2":
        return transformers.GPT2Config(
            vocab_size=VOCABULARY, n_positions=40, n_embd=60, n_layer=2, n_head=5, resid_pdrop=0.0,
            embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0)
    return transformers.AutoConfig.for_model(
        family, vocab_size=VOCABULARY, hidden_size=60, intermediate_size=200, num_hidden_layers=2,
        num_attention_heads=5, num_key_value_heads=1, head_dim=12, max_position_embeddings=40,
        rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=0, tie_word_embeddings=True)


@pytest.fixture(scope="module", params=FAMILIES)
def base(request, tmp_path_factory):
    """The folder of a random model."""
    return base_of(request.param, tmp_path_factory.mktemp(request.param))


def base_of(family, folder):
    import torch
    import transformers
    from against_torch import stirred

    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(config_of(family))
    stirred(model).save_pretrained(folder)
    return folder


def with_embedding(folder):
    """Options of PEFT that train the embedding too, which is the head."""
    name = "wte" if "gpt2" in str(folder) else "embed_tokens"
    return {"modules_to_save": [name, "lm_head"], "ensure_weight_tying": True}


def adapted(folder, *, stir=False, embeddings=False, **options):
    """The model with new adapters in PEFT, in eager attention and in training."""
    import peft
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    torch.manual_seed(7)
    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | options
    if embeddings:
        options |= with_embedding(folder)
    model = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **options))
    if stir:
        with torch.no_grad():
            for _, parameter in model.named_parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn_like(parameter))
    return model.train()


def adapters_of(model):
    """What is trained, by the names that a Trainer has for it."""
    return {name.removeprefix(PREFIX).replace(".modules_to_save", "").replace(".default", ""):
            parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def logits_of(model, inputs):
    import torch

    model.eval()
    with torch.no_grad():
        return model(torch.from_numpy(np.ascontiguousarray(inputs))).logits


@with_peft
@pytest.mark.parametrize("options", [
    {}, {"use_rslora": True, "r": 5}, {"target_modules": "attention"}, {"embeddings": True}],
    ids=["all", "rs", "few", "embeddings"])
def test_ten_steps_are_those_of_peft(base, tmp_path, options):
    from against_torch import difference, same_training, step, tokens_of

    gpt2 = "gpt2" in base.name
    if "target_modules" in options:
        options = {"target_modules": ["c_attn"] if gpt2 else ["q_proj", "v_proj"]}
    theirs = adapted(base, **options)
    targets = options.get("target_modules", "all-linear")
    trainer, optimizer = same_training(  # gradients of A begin at 0, where all is rounding
        base, tmp_path, theirs, VOCABULARY, BATCH, LENGTH, rate=3e-3, epsilon=1e-4, workers=2,
        lora=True, lora_rank=options.get("r", 4), lora_alpha=8.0,
        rslora=options.get("use_rslora", False), lora_targets=targets,
        lora_modules_to_save="embeddings" if "embeddings" in options else "")
    ours = trainer.parameters()
    expected = adapters_of(theirs)
    assert ours.keys() == expected.keys()
    for name, parameter in expected.items():
        assert "lora_A" not in name or np.abs(ours[name]).max() <= parameter.shape[1] ** -0.5
        if "lora" not in name:
            assert np.array_equal(ours[name], parameter.detach().numpy()), "as the model has it"
        ours[name][:] = parameter.detach().numpy()
    for i in range(10):
        batch = tokens_of(i % 3, VOCABULARY, BATCH, LENGTH)
        loss, norm = step(theirs, optimizer, 1.0, *batch)
        report = trainer.step(*batch)
        assert abs(report.loss - loss) <= 1e-4, i
        assert report.grad_norm == pytest.approx(norm, rel=1e-4)
    for name, parameter in expected.items():
        assert difference(ours[name], parameter) <= 1e-4, name


@with_peft
@pytest.mark.parametrize("modules", ["", "embeddings"])
def test_an_adapter_made_here_is_the_same_model_there(base, tmp_path, modules):
    import peft
    import transformers
    from against_torch import difference, opened, tokens_of, write_tokens

    data = write_tokens(tmp_path / "tokens.bin", VOCABULARY)
    run = tmp_path / "run"
    train(data=data, vocab=VOCABULARY, out=run, init=base, lora=True, lr=0.01, seq=LENGTH, steps=20,
          lora_rank=4, lora_modules_to_save=modules, workers=2)
    inputs, _ = tokens_of(3, VOCABULARY, BATCH, LENGTH)
    start = transformers.AutoModelForCausalLM.from_pretrained(base)
    before = logits_of(start, inputs)
    theirs = peft.PeftModel.from_pretrained(start, run / "final")
    expected = logits_of(theirs, inputs)
    assert difference(before.numpy(), expected) > 0.05, "training did something"
    loaded = cllm.Model.load(run)
    assert difference(loaded.logits(inputs), expected) < 1e-4
    named = transformers.AutoModelForCausalLM.from_pretrained(run / "final")  # finds the base
    assert difference(logits_of(named, inputs).numpy(), expected) < 1e-5
    loaded.save(tmp_path / "merged")
    merged = opened(tmp_path / "merged")
    assert difference(logits_of(merged, inputs).numpy(), expected) < 1e-4
    prompt = [3, 14, 15, 92]
    assert np.array_equal(cllm.Model.load(tmp_path / "merged").generate(prompt, tokens=8),
                          loaded.generate(prompt, tokens=8))


@with_peft
@pytest.mark.parametrize("options", [
    {}, {"use_rslora": True}, {"target_modules": r".*\.(q_proj|c_attn|down_proj|c_fc)"},
    {"init_lora_weights": "gaussian", "lora_dropout": 0.1}, {"embeddings": True}],
    ids=["all", "rs", "pattern", "gauss", "embeddings"])
def test_an_adapter_of_peft_is_the_same_model_here(base, tmp_path, options):
    from against_torch import difference, tokens_of

    theirs = adapted(base, stir=True, **options)
    theirs.save_pretrained(tmp_path / "adapter")
    inputs, _ = tokens_of(3, VOCABULARY, BATCH, LENGTH)
    expected = logits_of(theirs, inputs)
    assert difference(cllm.Model.load(tmp_path / "adapter").logits(inputs), expected) < 1e-4
    shutil.copytree(base, tmp_path / "elsewhere")
    beside = cllm.Model.load(tmp_path / "elsewhere", tmp_path / "adapter")
    assert difference(beside.logits(inputs), expected) < 1e-4
    assert difference(cllm.Model.load(base).logits(inputs), expected) > 0.05


@with_peft
def test_a_head_of_its_own_may_be_trained_alone(tmp_path):
    import peft
    import transformers
    from against_torch import difference, stirred, tokens_of, write_tokens

    config = config_of("llama")
    config.tie_word_embeddings = False
    base = tmp_path / "base"
    stirred(transformers.AutoModelForCausalLM.from_config(config)).save_pretrained(base)
    data = write_tokens(tmp_path / "tokens.bin", VOCABULARY)
    common = {"data": data, "vocab": VOCABULARY, "init": base, "lora": True, "lr": 0.01,
              "seq": LENGTH, "steps": 10, "workers": 2}
    train(out=tmp_path / "run", lora_modules_to_save="lm_head", **common)
    inputs, _ = tokens_of(3, VOCABULARY, BATCH, LENGTH)
    theirs = peft.PeftModel.from_pretrained(
        transformers.AutoModelForCausalLM.from_pretrained(base), tmp_path / "run/final")
    expected = logits_of(theirs, inputs)
    assert difference(cllm.Model.load(tmp_path / "run").logits(inputs), expected) < 1e-4
    more = cllm.Trainer(cllm.TrainConfig(out=tmp_path / "more", lora_init=tmp_path / "run",
                                         **common))
    assert more.config.lora_modules_to_save == "lm_head"
    started = more.parameters()["lm_head.weight"]
    assert np.array_equal(started, cllm.Model.load(tmp_path / "run").parameters()["lm_head.weight"])
    assert not np.array_equal(started, cllm.Model.load(base).parameters()["lm_head.weight"])


@with_peft
@pytest.mark.parametrize("type_name", ["float16", "bfloat16"])
def test_adapters_of_sixteen_bits_load(tmp_path, type_name):
    import torch
    from against_torch import difference, tokens_of
    from safetensors.torch import load_file, save_file

    base = base_of("llama", tmp_path / "base")
    theirs = adapted(base, stir=True)
    theirs.save_pretrained(tmp_path / "adapter")
    file = tmp_path / "adapter/adapter_model.safetensors"
    tensors = {name: tensor.to(getattr(torch, type_name))
               for name, tensor in load_file(file).items()}
    save_file(tensors, file)
    inputs, _ = tokens_of(3, VOCABULARY, BATCH, LENGTH)
    assert difference(cllm.Model.load(tmp_path / "adapter").logits(inputs),
                      logits_of(theirs, inputs)) < 0.02


@with_peft
@pytest.mark.parametrize("options, said", [
    ({"use_dora": True}, '"use_dora": got true'),
    ({"bias": "all"}, '"bias": got "all"'),
    ({"modules_to_save": ["lm_head"]}, "ensure_weight_tying"),
    ({"modules_to_save": ["embed_tokens"]}, "ensure_weight_tying"),
    ({"modules_to_save": ["embed_tokens", "lm_head"]}, "head is not the token embedding"),
    ({"modules_to_save": ["norm"]}, 'modules_to_save.*got "norm"'),
    ({"rank_pattern": {"q_proj": 2}}, '"rank_pattern"'),
    ({"layers_to_transform": [1], "target_modules": ["q_proj"]}, "not every layer"),
    ({"target_modules": ["q_proj", "embed_tokens"]}, "no linear map of this name")])
def test_other_kinds_of_peft_are_refused(tmp_path, options, said):
    base = base_of("llama", tmp_path / "base")
    adapted(base, stir=True, **options).save_pretrained(tmp_path / "adapter")
    with pytest.raises(cllm.InputError, match=said):
        cllm.Model.load(tmp_path / "adapter")


# -- without torch ------------------------------------------------------------------------------

@pytest.fixture
def byte_base(tmp_path):
    return model_of_bytes(tmp_path / "base")


@pytest.fixture
def run(settings, byte_base):
    """A run that trained adapters, and its keywords."""
    keywords = beside(byte_base, settings) | {"lora_rank": 2}
    train(**keywords)
    return keywords["out"], keywords


def test_a_list_of_targets_is_its_names_with_commas(run):
    folder, keywords = run
    assert cllm.TrainConfig(lora_targets=["q_proj", "v_proj"]).lora_targets == "q_proj,v_proj"
    config = json.loads((folder / "final/adapter_config.json").read_text())
    assert config["target_modules"] == ["c_attn"]
    assert config["lora_alpha"] == 4, "twice the rank"
    assert config["fan_in_fan_out"] is True
    assert config["base_model_name_or_path"] == str(keywords["init"])
    with pytest.raises(cllm.InputError, match="lora_targets"):
        cllm.TrainConfig(lora_targets=[3])


def test_the_commands_take_adapters(run, byte_base, text_file):
    from cllm import cli
    from typer.testing import CliRunner

    def told(*words):
        result = CliRunner().invoke(cli.app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.output

    folder, _ = run
    sampled = ("--prompt", "the ", "--tokens", 20, "--temperature", 0)
    by_run = told("generate", "--model", folder, *sampled)
    assert told("generate", "--model", byte_base, "--adapter", folder, *sampled) == by_run
    of_run = json.loads(told("eval", folder, "--data", text_file, "--json"))
    beside = json.loads(told("eval", byte_base, "--adapter", folder, "--data", text_file, "--json"))
    alone = json.loads(told("eval", byte_base, "--data", text_file, "--json"))
    assert beside["data"] == of_run["data"] and beside["adapter"] == str(folder)
    assert alone["data"]["val_loss"] > of_run["data"]["val_loss"]
    planned = told("plan", "--layers", 2, "--dim", 64, "--lora", "--lora-rank", 2)
    assert " trained" in planned


def test_a_resumed_run_is_the_whole_one(run, tmp_path):
    folder, keywords = run
    whole = (folder / "final/adapter_model.safetensors").read_bytes()
    train(resume=folder / "checkpoints/step-00000010", out=tmp_path / "again", workers=3)
    assert (tmp_path / "again/final/adapter_model.safetensors").read_bytes() == whole
    state = json.loads((folder / "final/trainer_state.json").read_text())
    assert state["base"]["path"] == str(keywords["init"])
    assert len(state["base"]["crc32c"]) == 8


def test_a_base_kept_as_bf16_trains_the_same_adapter(run, byte_base, tmp_path):
    """Weights that are stored so are not rounded again."""
    _, keywords = run
    stored = tmp_path / "stored"
    cllm.Model.load(byte_base).save(stored, dtype="bf16")
    found = []
    for kept in ("fp32", "bf16"):
        out = tmp_path / kept
        trainer = cllm.Trainer(cllm.TrainConfig(
            **keywords | {"init": stored, "out": out, "base_dtype": kept}))
        trainer.run()
        found.append(((out / "final/adapter_model.safetensors").read_bytes(), said_by(trainer)))
    assert found[0] == found[1]
    train(resume=out / "checkpoints/step-00000010", out=tmp_path / "again", workers=3)
    assert (tmp_path / "again/final/adapter_model.safetensors").read_bytes() == found[0][0]


def test_an_adapter_beside_the_wrong_model(run, tmp_path):
    folder, _ = run
    wide = tmp_path / "wide"
    cllm.Model.create(cllm.ModelConfig(layers=2, heads=2, dim=32, seq=16, vocab=257),
                      byte_tokens=True).save(wide)
    with pytest.raises(cllm.InputError, match=r"\[2, 24\].*\[2, 32\].*beside this model"):
        cllm.Model.load(wide, adapter=folder)
    with pytest.raises(cllm.InputError, match="no adapter here: got a whole model"):
        cllm.Model.load(wide, adapter=wide)
    llama = tmp_path / "llama"
    shape = cllm.ModelConfig(family="llama", layers=2, heads=2, dim=24, seq=16, vocab=257)
    cllm.Model.create(shape, byte_tokens=True).save(llama)
    with pytest.raises(cllm.InputError, match=r'"target_modules".*got "c_attn", expected all-lin'):
        cllm.Model.load(llama, adapter=folder)


@pytest.mark.parametrize("key, value, said", [
    ("peft_type", "IA3", '"peft_type": got "IA3", expected "LORA"'),
    ("r", 300, '"r": no rank of an adapter: got 300, expected 1 to 24'),
    ("r", 3, r"got \[2, 24\], expected \[3, 24\]"),
    ("target_modules", ["c_attn", "w"], 'got "w", expected all-linear, c_attn, c_fc, c_proj'),
    ("target_modules", ["c_attn", "c_fc"], "tensor is missing.*c_fc"),
    ("use_dora", True, '"use_dora"'),
    ("base_model_name_or_path", "org/model", "model is not here.*got org/model"),
    (None, "{", "not JSON")])
def test_a_bad_config_is_refused_by_its_key(run, tmp_path, key, value, said):
    shutil.copytree(run[0] / "final", tmp_path / "bad")
    (tmp_path / "bad/manifest.json").unlink()
    file = tmp_path / "bad/adapter_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {key: value}) if key else value)
    with pytest.raises(cllm.InputError, match=said) as caught:
        cllm.Model.load(tmp_path / "bad")
    assert "\n" not in str(caught.value)
